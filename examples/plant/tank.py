"""A tank in SimPy: water flows in by the pump, and out through a hole, by Torricelli's law."""

from collections.abc import Iterator

import simpy

STEP_US = 10_000
AREA = 0.01
"""Square metres of the tank, in thousands of litres a metre."""


class Tank:
    """Args: env: the simulation; a driver's factory gets it by this name."""

    def __init__(self, env: simpy.Environment) -> None:
        self.level = 0.5
        self.inflow = 0.0
        env.process(self._flow(env))

    def _flow(self, env: simpy.Environment) -> Iterator[simpy.Event]:
        while True:
            yield env.timeout(STEP_US)
            self.level = step(self.level, self.inflow, STEP_US / 1_000_000)


def step(level: float, inflow: float, seconds: float) -> float:
    """The level after some seconds: litres a second flow in, and 1.5 times the root of the level flows out."""
    return max(0.0, level + (inflow - 1.5 * max(level, 0.0) ** 0.5) / 1000 / AREA * seconds)
