"""Events as values: ensembles come and go, work moves, graphs end.

Code decides on an event's type and fields. `str(event)` is the sentence that people read, and the only place where it
is made. Ticks are those of the root clock (microseconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from ticktalk.durations import about, duration_text, instant_text, interval_text
from ticktalk.payloads import WorkerDeath
from ticktalk.printable import line
from ticktalk.replacement import Changes


class Event(msgspec.Struct, frozen=True):
    """Something that the manager, or a simulation, tells its watchers; `sentence` is filled in from its fields."""

    sentence: ClassVar[str]

    def __str__(self) -> str:
        return line(self.text())

    def text(self) -> str:
        """The sentence; names and reasons in it are as they came."""
        return self.sentence.format(self)


# Ensembles.


class Refused(Event, frozen=True):
    """An ensemble may not join; `name` is empty when its question was not understood."""

    name: str
    why: str

    def text(self) -> str:
        return f"refused {repr(self.name) if self.name else 'an ensemble'}: {self.why}"


class RefusedMore(Event, frozen=True):
    """So many refusals more than those that were told one by one, within a while."""

    count: int
    sentence = "refused {0.count} more questions and joins (status counts them)"


class Joined(Event, frozen=True):
    """An ensemble has joined; if it is not `direct`, the manager relays for it."""

    name: str
    address: str
    direct: bool = True

    def text(self) -> str:
        return f"{self.name!r} joined from {self.address}{'' if self.direct else ', relayed by the manager'}"


class Left(Event, frozen=True):
    """An ensemble has ended, or a newer start of it takes over its name (`replaced`): it does not come back."""

    name: str
    replaced: bool = False

    def text(self) -> str:
        return f"{self.name!r} is gone: {'a newer start of it takes over its name' if self.replaced else 'it has left'}"


class Expelled(Event, frozen=True):
    """An ensemble has to go, though it is there, or was `lost` already: its certificate was revoked."""

    name: str
    lost: bool = False

    def text(self) -> str:
        gone = "was gone already, and is not taken back" if self.lost else "is gone"
        return f"{self.name!r} {gone}: its certificate was revoked"


class Gone(Event, frozen=True):
    """Nothing was heard of an ensemble for so many ticks (in simulation an exact time): it is dead, or cut off."""

    name: str
    silence: int
    exact: bool = False

    def text(self) -> str:
        silence = about(self.silence if self.exact else round(self.silence, -5))
        return f"{self.name!r} is gone: no heartbeat for {silence}"


class Ended(Event, frozen=True):
    """The process of a lost ensemble has ended: SQs that only it could host may go elsewhere.

    `refused_at` is its address, if that is known since its host refuses connections there.
    """

    name: str
    refused_at: str = ""

    def text(self) -> str:
        go_on = "SQs that only it could host may go on elsewhere"
        if not self.refused_at:
            return f"{self.name!r} has ended: {go_on}"
        return (
            f"{self.name!r} has ended, because connections to {self.refused_at} are refused: {go_on}."
            " Let firewalls between drop packets: one that refuses connections looks the same"
        )


class Back(Event, frozen=True):
    """An ensemble that was cut off is heard of again, and goes on where it was."""

    name: str
    sentence = "{0.name!r} is back"


class OutputLeftOut(Event, frozen=True):
    """An output that an ensemble has sent cannot be read by the manager."""

    name: str
    why: str
    sentence = (
        "an output of {0.name!r} cannot be read and is left out (status counts it): {0.why}; let Python and ticktalk"
        " be of the same version there and here"
    )


class Isolated(Event, frozen=True):
    """Many ensembles fell silent at once: the manager places nothing elsewhere until half of them are heard of."""

    sentence = "too few ensembles are heard of: the manager may be cut off, so it places nothing elsewhere"


class Restarted(Event, frozen=True):
    """The manager goes on where one that has died was, and awaits its ensembles."""

    graphs: list[str]
    awaited: list[str]

    def text(self) -> str:
        what = f"graphs {', '.join(self.graphs)}" if self.graphs else "no graph"
        awaits = f"; it awaits {', '.join(self.awaited)}" if self.awaited else ""
        return f"the manager goes on where the one before it was: {what}{awaits}"


class StateNotWritten(Event, frozen=True):
    """The manager's state cannot be written at present; all else goes on."""

    folder: str
    why: str
    sentence = (
        "--state {0.folder}: it cannot be written: {0.why}; all else goes on, but a manager that dies now is not"
        " followed by one that knows of it"
    )


class StateWritten(Event, frozen=True):
    """The manager's state is written again, with all that has changed meanwhile."""

    folder: str
    sentence = "--state {0.folder}: it is written again"


class NotBack(Event, frozen=True):
    """An ensemble has not come back after a restart of the manager: its SQs go elsewhere."""

    name: str
    sentence = "{0.name!r} has not come back since the manager's restart: it counts as gone"


class ClockWarning(Event, frozen=True):
    """The clock of an ensemble may be off by more than half the interval width of a stream that it hosts."""

    ensemble: str
    error: int
    sq: str
    width: int

    def text(self) -> str:
        return (
            f"warning: the clock of {self.ensemble!r} may be off by {about(self.error)}, more than half the"
            f" {duration_text(self.width)} interval of {self.sq}"
        )


# Graphs.


class GraphDone(Event, frozen=True):
    """A context of a graph has ended: by itself, or because its graph was stopped."""

    graph: str
    context: int
    outputs: int
    lost: dict[str, dict[str, int]] = {}

    def text(self) -> str:
        lost = f", {losses_text(self.lost)}" if self.lost else ""
        return f"graph {self.graph!r} is done: {self.outputs} outputs{lost}"


class Replaced(Event, frozen=True):
    """A graph goes on as another version, from one tick on."""

    changes: Changes

    def text(self) -> str:
        found = self.changes
        parts = [f"{len(found.carried)} SQs go on with their state"]
        renamed = [f"{old} (now {new}?)" for old, new in found.renamed.items()]
        removed = [sq for sq in found.removed if sq not in found.renamed]
        added = [sq for sq in found.added if sq not in found.renamed.values()]
        for what, sqs in (
            ("added", added),
            ("removed", removed),
            ("renamed, without their state", renamed),
            ("with the period and phase that were set", found.as_set),
            ("with the period and phase of the new program in place of those that were set", found.as_written),
        ):
            if sqs:
                parts.append(f"{what}: {_listed(sqs, ', ', ' and')}")
        if found.dropped:
            dropped = [f"{count} of {sq}" for sq, count in found.dropped.items()]
            parts.append(f"waiting tokens that have no place: {_listed(dropped, ', ', ' and')}")
        return f"graph {found.graph!r} is replaced from {instant_text(found.at)} on; {'; '.join(parts)}"


class NotReplaced(Event, frozen=True):
    """A graph cannot be replaced by another version: the old one goes on."""

    graph: str
    why: str

    def text(self) -> str:
        lines = self.why.removeprefix(f"graph {self.graph!r} is not replaced:").split("\n")
        return f"graph {self.graph!r} goes on as it was: {'; '.join(each.strip() for each in lines if each.strip())}"


class RolledBack(Event, frozen=True):
    """A new version of a graph has failed: the old one goes on from tick `at` on; `outputs`: what the new one gave."""

    graph: str
    why: str
    at: int
    outputs: int

    def text(self) -> str:
        return (
            f"graph {self.graph!r} goes on in its old version from {instant_text(self.at)} on, with its state of the"
            f" switch: {self.why}; the new version gave {self.outputs} outputs"
        )


class Moved(Event, frozen=True):
    """SQs go on elsewhere: SQ to ensemble."""

    graph: str
    to: dict[str, str]

    def text(self) -> str:
        by_host: dict[str, list[str]] = {}
        for sq, host in self.to.items():
            by_host.setdefault(host, []).append(sq)
        parts = []
        for host, sqs in by_host.items():
            parts.append(f"{_listed(sqs, ', ', ' and')} {'goes' if len(sqs) == 1 else 'go'} on on {host!r}")
        return f"graph {self.graph!r}: {'; '.join(parts)}"


class Waits(Event, frozen=True):
    """No ensemble fits for SQs of a graph: SQ to its wants, as text."""

    graph: str
    wants: dict[str, str]

    def text(self) -> str:
        what = _listed([f"{sq} wants {text}" for sq, text in self.wants.items()], "; ", "; and")
        return f"graph {self.graph!r} waits for an ensemble that fits: {what}"


class Stays(Event, frozen=True):
    """SQs that could go on elsewhere now stay on an ensemble that is not heard, and may go on with them."""

    graph: str
    ensemble: str
    sqs: list[str]

    def text(self) -> str:
        return (
            f"graph {self.graph!r}: {_listed(self.sqs, ', ', ' and')} may still run on {self.ensemble!r}, which is not"
            " heard: they are not started elsewhere as well."
            f" If {self.ensemble!r} has ended for good, start an ensemble of its name"
        )


class CannotGoOn(Event, frozen=True):
    """The code of SQs that were to move to an ensemble does not run there."""

    graph: str
    ensemble: str
    problem: str
    sentence = "graph {0.graph!r} cannot go on on {0.ensemble!r}: {0.problem}"


class RunsLong(Event, frozen=True):
    """A firing of an SQ has run for so many microseconds; told once, until nothing there runs for long any more."""

    graph: str
    ensemble: str
    sq: str
    start: float | None
    stop: float | None
    time: int

    def text(self) -> str:
        which = "" if self.start is None else f" of {interval_text(self.start, self.stop)}"
        return (
            f"graph {self.graph!r}: the firing{which} of {self.sq} on {self.ensemble!r} has run for"
            f" {about(round(self.time, -5))}"
        )


class WorkerDied(Event, frozen=True):
    """A worker process of an ensemble has ended by itself; it is replaced, unless it does so again and again."""

    death: WorkerDeath

    def text(self) -> str:
        firings = []
        for graph, sq, start, stop in self.death.running:
            firing = "the firing" if start is None else f"the firing of {interval_text(start, stop)}"
            firings.append(f"{firing} of {sq} of graph {graph!r}")
        ran = f" while {_listed(firings, ', ', ' and')} ran{' or waited' * (len(firings) > 1)}" if firings else ""
        return f"the worker process ({self.death.worker}) of {self.death.ensemble!r} {self.death.how}{ran}"


class LeftOut(Event, frozen=True):
    """A value in an instance has no codec or is too long: no checkpoint holds it; `what` names SQ, place and type."""

    graph: str
    what: str
    sentence = (
        "warning: graph {0.graph!r}: {0.what} has no codec or is too long, so it is not in the checkpoints"
        " (see register_codec, --max-value)"
    )


class Defect(Event, frozen=True):
    """The manager could not do what it was asked for, by an error of its own."""

    request: str
    why: str
    sentence = (
        "warning: an error in the manager itself, at a request {0.request}: {0.why} (the log has its traceback:"
        " please report it)"
    )


# Simulated faults.


class Failed(Event, frozen=True):
    """The process of a simulated ensemble dies."""

    name: str
    sentence = "{0.name!r} fails"


class Started(Event, frozen=True):
    """A simulated ensemble starts, or starts anew."""

    name: str
    sentence = "{0.name!r} joins"


class Cut(Event, frozen=True):
    """No message gets through between two simulated ensembles from now on."""

    one: str
    other: str
    sentence = "the link between {0.one!r} and {0.other!r} is cut"


class Healed(Event, frozen=True):
    """Messages get through between two simulated ensembles again."""

    one: str
    other: str
    sentence = "the link between {0.one!r} and {0.other!r} is whole again"


class Slowed(Event, frozen=True):
    """The bodies of a simulated ensemble take `factor` times as long as at first."""

    name: str
    factor: float
    sentence = "the bodies of {0.name!r} take {0.factor:g} times as long"


class CostChanged(Event, frozen=True):
    """Simulated runs of a function take so many microseconds on the reference."""

    function: str
    time: int

    def text(self) -> str:
        return f"a run of {self.function} takes {duration_text(self.time)}"


class LinkChanged(Event, frozen=True):
    """A simulated link is another one; its latency in microseconds."""

    one: str
    other: str
    latency: int

    def text(self) -> str:
        link = f"the link between {self.one!r} and {self.other!r} has changed"
        return f"{link}: its latency is {duration_text(self.latency)}"


class ClockChanged(Event, frozen=True):
    """The clock of a simulated ensemble has jumped (microseconds), and drifts (ppm)."""

    name: str
    step: int
    drift: float

    def text(self) -> str:
        return f"the clock of {self.name!r} jumps by {duration_text(self.step)}, and drifts by {self.drift:g}ppm"


class Suspended(Event, frozen=True):
    """A simulated ensemble has lost the manager and holds SQs that may by now run elsewhere."""

    name: str
    sqs: list[str]

    def text(self) -> str:
        return f"{self.name!r} has lost the manager and suspends {', '.join(self.sqs)}"


SHOWN = 8
"""Entries that a sentence lists before it only counts."""


def losses_text(losses: Mapping[str, Mapping[str, int]]) -> str:
    """The losses of a graph: by receiver, and SQ (or sender of outputs)."""
    each = [f"{count} of {sq} to {to!r}" for to, by_sq in losses.items() for sq, count in by_sq.items()]
    total = sum(count for by_sq in losses.values() for count in by_sq.values())
    return f"{total} tokens lost ({_listed(each, ', ', ' and')})"


def _listed(entries: list[str], between: str, before_more: str) -> str:
    more = f"{before_more} {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    return between.join(entries[:SHOWN]) + more
