"""Plans: what is done to a system in one run, as a list of commands."""

from __future__ import annotations

from typing import NamedTuple

from played_network import MS, S

NAMES = ("a", "b", "c", "d")
BEGIN = 600 * MS
"""When the first graph is deployed: the ensembles have joined by then."""

WATCHES = (0, 1 * S, 3 * S)
"""For how long new versions are watched."""


class Command(NamedTuple):
    """One thing that is done: when (microseconds), what, to whom, and how much."""

    at: int
    kind: str
    who: tuple[str, ...] = ()
    much: int = 0

    def __str__(self) -> str:
        much = f" {self.much}" if self.much else ""
        return f"{self.at / S:.3f}s {self.kind} {' '.join(self.who)}{much}".rstrip()


class Plan(NamedTuple):
    """A whole run: its seed, ensembles, program, the length of its streams (0: without end), and commands.

    `rehearses`: heads-ups go before later instants of streams, too, as on a device.
    """

    seed: int
    names: tuple[str, ...]
    program: int
    length: int
    checkpoint: int
    commands: tuple[Command, ...]
    rehearses: bool = False
