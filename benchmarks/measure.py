"""What every benchmark shares: figures of one round compared within it, medians over the rounds, floors.

Machines are noisy, so what is compared is measured in turn in each round, a ratio is taken within its round, and the
median over the rounds counts.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Say = Callable[[str], None]
"""Shows what is being measured now."""


def clocks() -> tuple[float, float]:
    """Seconds of the wall clock, and of processor time: of this process and of its children that have ended."""
    used = os.times()
    return time.perf_counter(), used.user + used.system + used.children_user + used.children_system


def lesser_since(began: tuple[float, float]) -> float:
    """Seconds since `clocks` gave this, on the clock on which fewer have passed: other work of the machine is out."""
    return min(now - before for now, before in zip(clocks(), began, strict=True))


class Failure(Exception):
    """A system did not do what is measured; the message says what."""


class Floor(NamedTuple):
    """What a figure must reach.

    Attributes:
        binding: whether missing it makes `make bench` fail; otherwise it is what later work aims at.
    """

    least: float | None = None
    most: float | None = None
    binding: bool = True

    def holds(self, figure: float) -> bool:
        """Whether a figure is within."""
        return (self.least is None or figure >= self.least) and (self.most is None or figure <= self.most)

    def __str__(self) -> str:
        words = [
            f"{word} {limit:g}"
            for word, limit in (("at least", self.least), ("at most", self.most))
            if limit is not None
        ]
        return ("" if self.binding else "aim: ") + ", ".join(words)


def at_least(figure: float) -> Floor:
    """A floor."""
    return Floor(least=figure)


def at_most(figure: float) -> Floor:
    """A ceiling."""
    return Floor(most=figure)


@dataclass
class Row:
    """A figure, its floor, and beside what it was measured.

    Attributes:
        what: is measured.
        rounds: the figure in each round; a ratio where there is a peer.
        unit: of the figure; "x": a ratio.
        ours: TickTalk's own figure, with its unit.
        theirs: the peer's.
        floor: None where nothing is asked.
        failed: why there is no figure.
    """

    what: str
    rounds: list[float] = field(default_factory=list)
    unit: str = "x"
    ours: str = ""
    theirs: str = ""
    floor: Floor | None = None
    failed: str = ""

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.rounds)

    @property
    def holds(self) -> bool | None:
        """Whether the floor is reached; None if there is none."""
        if self.failed:
            return False
        return None if self.floor is None else self.floor.holds(self.median)

    @property
    def missed(self) -> bool:
        """Whether this row makes the run fail."""
        return bool(self.failed) or (self.holds is False and self.floor is not None and self.floor.binding)

    @property
    def figure(self) -> str:
        """The median and, of several rounds, the least and the most."""
        if self.failed:
            return f"failed: {self.failed}"
        shown = f"{short(self.median)} {self.unit}"
        if len(self.rounds) > 1:
            shown += f" ({short(min(self.rounds))} - {short(max(self.rounds))})"
        return shown

    def as_json(self) -> dict[str, Any]:
        """For `results.json`."""
        return {
            "what": self.what,
            "median": self.median if self.rounds else None,
            "rounds": self.rounds,
            "unit": self.unit,
            "figure": self.figure,
            "ours": self.ours,
            "theirs": self.theirs,
            "floor": str(self.floor) if self.floor else "",
            "verdict": self.verdict,
        }

    @property
    def verdict(self) -> str:
        """In a word."""
        return {None: "", True: "holds", False: "MISSED" if self.missed else "not yet"}[self.holds]


def compared(
    what: str,
    ours: list[float],
    theirs: list[float],
    shown: Callable[[float], str],
    peer: str,
    floor: Floor | None = None,
    peer_shown: Callable[[float], str] | None = None,
) -> Row:
    """Our figure over the peer's, round by round."""
    return Row(
        what,
        [a / b for a, b in zip(ours, theirs, strict=True)],
        ours=shown(statistics.median(ours)),
        theirs=f"{peer}: {(peer_shown or shown)(statistics.median(theirs))}",
        floor=floor,
    )


def short(number: float) -> str:
    """Three digits that matter, without exponents."""
    if number == 0 or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) >= 1 else f"{number:.3g}"


def rate(unit: str) -> Callable[[float], str]:
    """Shows a number a second."""

    def shown(number: float) -> str:
        if number >= 1e6:
            return f"{number / 1e6:.2f} M {unit}/s"
        return f"{number:,.0f} {unit}/s"

    return shown


class Latencies(NamedTuple):
    """Of one round, in microseconds."""

    p50: float
    p99: float
    samples: int

    @staticmethod
    def of(microseconds: list[float]) -> Latencies:
        """What these samples come to."""
        ordered = sorted(microseconds)
        if not ordered:
            raise Failure("no samples came")
        # The nearest rank: the least figure that 99 % of the samples do not exceed.
        return Latencies(statistics.median(ordered), ordered[-(-99 * len(ordered) // 100) - 1], len(ordered))


def milliseconds(microseconds: float) -> str:
    """Shows microseconds."""
    return f"{microseconds / 1000:.3f} ms"


@dataclass
class Effort:
    """How long to measure.

    Attributes:
        rounds: of everything that is compared.
        quick: a short look, whose figures are not kept.
    """

    rounds: int = 5
    quick: bool = False

    def pick(self, full: float, quick: float) -> float:
        """One of two lengths."""
        return quick if self.quick else full


Measure = Callable[[Effort, Say], Iterator[Row]]
