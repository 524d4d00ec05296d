"""The dimensions of a search: what is made worse, by how much at most, and the events that say so to a simulation.

A point of the search has a whole number for each dimension; 0 is as the deployment file says. Durations count in
microseconds, shares in millionths, drifts in thousandths of a ppm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from ticktalk.durations import duration_text
from ticktalk.errors import TTError
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.deployment_file import DeploymentFile, drift, share_of, signed_duration
from ticktalk.simulation.event_file import FileEvent
from ticktalk.source_problems import did_you_mean

Of = Literal["link", "ensemble", "function"]
Unit = Literal["duration", "share", "drift"]


class DimensionKind(NamedTuple):
    """A kind of dimension.

    Attributes:
        of: what has one.
        unit: of its numbers.
        signed: it goes below 0, too.
        by_chance: it depends on a seed.
        usual: the range that is searched, if nothing else is asked for.
        words: what it is, in a certificate.
    """

    of: Of
    unit: Unit
    signed: bool
    by_chance: bool
    usual: str
    words: str


KINDS = {
    "link-delay": DimensionKind("link", "duration", False, False, "0..500ms", "more delay"),
    "jitter": DimensionKind("link", "duration", False, True, "0..100ms", "more jitter"),
    "loss": DimensionKind("link", "share", False, True, "0..5%", "more loss"),
    "duplicate": DimensionKind("link", "share", False, True, "0..5%", "more repeated tokens"),
    "reorder": DimensionKind("link", "share", False, True, "0..5%", "more reordered tokens"),
    "cut": DimensionKind("link", "duration", False, False, "0..2s", "a cut"),
    "clock": DimensionKind("ensemble", "duration", True, False, "-100ms..100ms", "of clock error"),
    "drift": DimensionKind("ensemble", "drift", True, False, "-100ppm..100ppm", "more drift"),
    "fail": DimensionKind("ensemble", "duration", False, False, "0..5s", "a failure"),
    "body-time": DimensionKind("function", "duration", False, False, "0..500ms", "more time of a body"),
}

USUAL = ("link-delay", "jitter", "loss", "clock", "body-time")
"""The dimensions that are searched, if none are asked for."""

SEEDS = 4
"""Seeds with which something is tried that depends on chance."""

LASTING = ("cut", "fail")
"""Kinds that begin at a moment, and last as long as their number says."""


class Dimension(NamedTuple):
    """Something that is made worse.

    Attributes:
        kind: a key of `KINDS`.
        target: the ensembles at the ends of a link; the ensemble; the function.
        low, high: the range; 0 lies in it.
    """

    kind: str
    target: tuple[str, ...]
    low: int
    high: int

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.kind}:{','.join(self.target)}"

    def text(self, value: int) -> str:
        """A number as people write it."""
        unit = KINDS[self.kind].unit
        if unit == "duration":
            return duration_text(value)
        return f"{value / 10_000:g}%" if unit == "share" else f"{value / 1000:g}ppm"


class Point(NamedTuple):
    """A point that is tried.

    Attributes:
        values: by dimension's name; those that are not 0.
        seed: of the run.
        moments: by dimension's name, when it begins (microseconds after the start).
    """

    values: Mapping[str, int]
    seed: int
    moments: Mapping[str, int]


def read_range(kind: str, text: str) -> tuple[int, int]:
    """The lowest and the highest number of a range such as `0..200ms`, or `200ms`.

    Raises:
        TTError: it is none.
    """
    low, dots, high = text.partition("..")
    if not dots:
        low, high = "0", text
    found = [_number(kind, part.strip()) for part in (low, high)]
    if found[0] < 0 and not KINDS[kind].signed:
        raise TTError(f"{kind}={text}: it begins at 0: what is worse than the deployment file says is searched")
    if found == [0, 0]:
        raise TTError(f"{kind}={text}: nothing is made worse by that: a range such as {KINDS[kind].usual}")
    if not found[0] <= 0 < found[1] and not found[0] < 0 <= found[1]:
        raise TTError(f"{kind}={text}: a range such as {KINDS[kind].usual}, with 0 in it: 0 is as the deployment says")
    return found[0], found[1]


def _number(kind: str, text: str) -> int:
    readers: dict[Unit, tuple[Any, int]] = {
        "duration": (signed_duration, 1),
        "share": (share_of, 1_000_000),
        "drift": (drift, 1_000),
    }
    read, times = readers[KINDS[kind].unit]
    found = read(text)
    if isinstance(found, str):
        raise TTError(f"{kind}={text}: {found}")
    return int(Fraction(found) * times)


class Places(NamedTuple):
    """The links, ensembles and functions of a program as it is placed.

    Attributes:
        links: pairs of ensembles, in alphabetical order, between which tokens go.
        ensembles: those that host SQs, without the manager's own.
        functions: those with a body.
    """

    links: list[tuple[str, ...]]
    ensembles: list[tuple[str, ...]]
    functions: list[tuple[str, ...]]

    @classmethod
    def of(cls, graph: TTGraph, host_of: Mapping[str, str], manager: str) -> Places:
        """Of a graph and its mapping."""
        links = set()
        for sq in graph.sqs:
            here = host_of[sq.name]
            for arc in sq.arcs:
                there = {host_of[to.sq] for to in arc.to} | ({manager} if arc.output else set())
                links |= {(min(here, other), max(here, other)) for other in there if other != here}
        hosts = sorted({host for host in host_of.values() if host != manager})
        functions = sorted({sq.function for sq in graph.sqs if sq.body})
        return cls([*sorted(links)], [(host,) for host in hosts], [(function,) for function in functions])

    def having(self, of: Of) -> list[tuple[str, ...]]:
        """The targets of one kind."""
        return {"link": self.links, "ensemble": self.ensembles, "function": self.functions}[of]


def dimensions(asked: Iterable[tuple[str, str]], places: Places) -> list[Dimension]:
    """The dimensions that are asked for: `(KIND or KIND:TARGET, range)`; one for a target goes before one for all.

    Raises:
        TTError: there is no such kind or target, or a range is wrong.
    """
    found: dict[tuple[str, tuple[str, ...]], tuple[int, int]] = {}
    for name, text in sorted(asked, key=lambda entry: ":" in entry[0]):
        kind, targets = matching(name, places)
        for target in targets:
            found[kind, target] = read_range(kind, text)
    return [Dimension(kind, target, *found[kind, target]) for kind, target in found]


def matching(name: str, places: Places) -> tuple[str, list[tuple[str, ...]]]:
    """The kind and the targets that `KIND` or `KIND:TARGET` names.

    Raises:
        TTError: there is no such kind or target.
    """
    kind, colon, of = name.partition(":")
    if kind not in KINDS:
        raise TTError(f"{name}: {did_you_mean(kind, KINDS) or 'what can vary is ' + ', '.join(KINDS)}")
    there = places.having(KINDS[kind].of)
    if not colon:
        return kind, there
    target = tuple(part.strip() for part in of.split(","))
    target = tuple(sorted(target)) if KINDS[kind].of == "link" else target
    if target not in there:
        listed = " ".join(",".join(each) for each in there) or "none"
        raise TTError(f"{name}: the graph as it is placed has no such {KINDS[kind].of} (there are: {listed})")
    return kind, [target]


def events_of(point: Point, deployment: DeploymentFile) -> list[FileEvent]:
    """The events that make a simulation as bad as a point says; `deployment`: what is meant by 0."""
    links: dict[tuple[str, ...], dict[str, Any]] = {}
    clocks: dict[str, tuple[int, Fraction | None]] = {}
    drifts = {spec.name: spec.clock.drift for spec in deployment.ensembles}
    found: list[FileEvent] = []
    for name, value in point.values.items():
        kind, _, of = name.partition(":")
        target = tuple(of.split(","))
        if kind in _FIELDS:
            field = _FIELDS[kind]
            was = getattr(deployment.link(target[0], target[-1]), field)
            more = min(1, was + Fraction(value, 1_000_000)) if KINDS[kind].unit == "share" else was + value
            links.setdefault(target, {})[field] = more
        elif kind == "clock":
            clocks[of] = value, clocks.get(of, (0, None))[1]
        elif kind == "drift":
            clocks[of] = clocks.get(of, (0, None))[0], drifts.get(of, Fraction(0)) + Fraction(value, 1000)
        elif kind == "body-time":
            cost = deployment.costs.get(of)
            time = cost.time or 0 if cost is not None else 0
            found.append(FileEvent(0, "cost", (), function=of, time=time + value))
        else:
            begins = point.moments[name]
            found.append(FileEvent(begins, "cut" if kind == "cut" else "fail", target))
            found.append(FileEvent(begins + value, "heal" if kind == "cut" else "recover", target))
    found += [FileEvent(0, "link", target, link=fields) for target, fields in links.items()]
    found += [FileEvent(0, "clock", (name,), clock=clock) for name, clock in clocks.items()]
    return sorted(found, key=lambda event: event.at)


_FIELDS = {"link-delay": "latency", "jitter": "jitter", "loss": "loss", "duplicate": "duplicate", "reorder": "reorder"}
