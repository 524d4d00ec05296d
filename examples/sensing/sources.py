"""Streams of samples."""

import math

from ticktalk import STREAMify, sq_state

PERIOD = 200_000
"""Microseconds between two samples, unless a call says otherwise."""


@STREAMify
def thermometer(trigger: object, base: float = 20.0, TTPeriod: int = PERIOD) -> float:
    """A temperature that goes slowly up and down around `base`; replace its body by that of a real sensor."""
    global sq_state
    step = sq_state["step"] = sq_state.get("step", -1) + 1
    return round(base + math.sin(step / 4), 3)
