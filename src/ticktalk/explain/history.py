"""The records of a run, joined: which firing sent a token, and which tokens it took.

A firing's results are noted one after another, and then that it has run. So the tokens that an SQ sent since its last
firing are those of this one. A tag is sent where its set is decided. Data passes a deadline where it meets it. An
unused token goes to its handler where it leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from ticktalk.durations import instant_text
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.graph.graph import TTGraph
from ticktalk.records import AnyRecord, Counted, Deadline, Decided, Fired, InstanceMoved, Received, Sent, TokenLeft
from ticktalk.time import Tick

TICKS = ("tick", "start", "stop", "due", "began", "ended")
"""The attributes of records that are root ticks."""

Key = tuple[str, int]
"""A token: its arc, and its number there. The arc "" is a graph's input, with its number at the SQ."""

AGAIN = 1 << 60
"""Added to a token's number for each time that the numbers on its arc went back.

After a failure an SQ goes on from a checkpoint. So it gives numbers again that other tokens had before.
"""


def after(tick: int, records: Iterable[tuple[str, AnyRecord]]) -> Iterator[tuple[str, AnyRecord]]:
    """The same records with times after a root tick, such as the start: dates are long, and hard to compare."""
    for ensemble, record in records:
        there = {name: getattr(record, name) - tick for name in TICKS if hasattr(record, name)}
        yield ensemble, msgspec.structs.replace(record, **there)


@dataclass
class Came:
    """A token that reached a port of an SQ: when, and what became of it there.

    Attributes:
        key: the token.
        left: why it left unused; None: it did not.
        used: the firings that took it; more than one where the port is sticky.
        moved: the ensemble to which its SQ moved while it waited; what became of it there is not known. "": to none.
    """

    record: Received
    key: Key
    left: TokenLeft | None = None
    used: list[NotedFiring] = field(default_factory=list)
    moved: str = ""


@dataclass
class NotedFiring:
    """The sender of tokens: a set that fired (`how` "fired"), data that met its deadline, a token that left unused.

    Attributes:
        sq: the SQ.
        how: "fired", "met" or "left".
        tick: when it was decided.
        ensemble: where.
        start, stop: its interval.
        took: the tokens that it took, in the order of the ports.
        also: the tokens at its SQ on which it stands besides: the deadline of data or of a plan B, the sample before.
        unknown: how many more it took; those waited when the SQ moved here, or were not recorded.
        ran: how its body ran; None: it has not, as far as is known.
        sent: the tokens that it sent.
    """

    sq: str
    how: str
    tick: int
    ensemble: str
    start: Tick
    stop: Tick
    took: list[Came]
    unknown: int = 0
    ran: Fired | None = None
    sent: list[Key] = field(default_factory=list)
    also: list[Came] = field(default_factory=list)


@dataclass
class NotedInstance:
    """An SQ on an ensemble, up to a record."""

    came: dict[int, Came] = field(default_factory=dict)  # by its number there
    open: list[NotedFiring] = field(default_factory=list)  # decided, and not run yet
    results: list[Key] = field(default_factory=list)  # of the firing that is told next
    left: NotedFiring | None = None  # the token that left last: it goes to a handler at once
    met: NotedFiring | None = None  # the deadline that was met last: its data goes on at once
    due: dict[tuple[Tick, Tick], Came] = field(default_factory=dict)  # deadlines that came, by their intervals
    passed: Came | None = None  # (of a plan B) the deadline that passed last: it fires at once


@dataclass(frozen=True)
class Absence:
    """A time in which an SQ was on no ensemble that others heard: its own had failed, or was cut off.

    Attributes:
        ensemble: where it was.
        since: the tick of the last note of it there; of an SQ that did not go on, of anything there.
        until: the tick at which it went on; None: it did not.
        there: the ensemble on which it went on.
    """

    ensemble: str
    since: int
    until: int | None = None
    there: str = ""

    @property
    def text(self) -> str:
        """The known facts of it, to stand after the name of the SQ."""
        what = f"its ensemble {self.ensemble!r} had failed"
        if self.until is None:
            return f"{what}, was cut off or stood still: nothing is recorded there after {instant_text(self.since)}"
        again = " again" * (self.there == self.ensemble)
        return (
            f"{what} or was cut off: nothing of it is recorded there after {instant_text(self.since)}, and it went on"
            f" on {self.there!r}{again} at {instant_text(self.until)}"
        )


def _middle(came: Came) -> Tick:
    return came.record.start + (came.record.stop - came.record.start) // 2


class History:
    """A run of a graph.

    Args:
        graph: the graph.
        records: of one context, with the ensemble of each; each ensemble's in their order.
        begun: the root tick from which on all times in it are counted (`after`): instants are counted from tick 0 on.

    Attributes:
        tokens: every token that was sent.
        sender: by token, what sent it; missing: it is not known.
        firings: by SQ, its firings.
        came: by SQ, all tokens that reached it.
        deadlines: by SQ, what became of its deadlines.
        counted: by SQ, its counters that went up.
        last: the tick of the last record.
        host_of: by SQ, the ensemble that hosted it last.
    """

    def __init__(self, graph: TTGraph, records: Iterable[tuple[str, AnyRecord]], begun: int = 0) -> None:
        self.graph, self.begun = graph, begun
        self.tokens: dict[Key, Sent] = {}
        self.sender: dict[Key, NotedFiring] = {}
        self.firings: defaultdict[str, list[NotedFiring]] = defaultdict(list)
        self.came: defaultdict[str, list[Came]] = defaultdict(list)
        self.deadlines: defaultdict[str, list[Deadline]] = defaultdict(list)
        self.counted: defaultdict[str, list[Counted]] = defaultdict(list)
        self.last = 0
        self._kinds = {f"{sq.name}/{index}": arc.kind for sq in graph.sqs for index, arc in enumerate(sq.arcs)}
        self._by_name = wiring_of(graph).by_name
        self._samples: dict[str, Came | None] = {}  # by SQ `RESAMPLE`, the sample that it keeps; None: not known
        self._sends_for = {sq.plan_b: sq.name for sq in graph.sqs if sq.plan_b is not None and sq.will_continue}
        self._instances: defaultdict[tuple[str, str], NotedInstance] = defaultdict(NotedInstance)
        self._numbers: dict[str, tuple[int, int]] = {}  # by arc, the last number there, and what is added to it
        self.host_of: dict[str, str] = {}
        self._absences: defaultdict[str, list[Absence]] = defaultdict(list)
        self._noted: dict[str, int] = {}  # by ensemble, its last record
        self._noted_of: dict[str, int] = {}  # by SQ, its last record on its host
        self._handed_over: set[str] = set()
        home: dict[str, str] = {}  # by SQ that moved, where it came to last
        for ensemble, record in records:
            self.take(ensemble, record)
            self.last = max(self.last, record.tick)
            self._hosted(ensemble, record)
            if isinstance(record, InstanceMoved) and record.here:
                home[record.sq] = ensemble
        for (ensemble, sq), former in self._instances.items():
            for came in former.came.values() if ensemble != home.get(sq, ensemble) else ():
                if not came.used and came.left is None:
                    came.moved = home[sq]

    def absence(self, sq: str, tick: int) -> Absence | None:
        """The time without an ensemble in which an SQ was at a tick; None: it was on one, as far as is known."""
        for each in self._absences[sq]:
            if each.until is not None and each.since <= tick <= each.until:
                return each
        host = self.host_of.get(sq)
        return Absence(host, self._noted[host]) if host is not None and self._noted[host] < tick else None

    def _hosted(self, ensemble: str, record: AnyRecord) -> None:
        sq, host = record.sq, self.host_of.get(record.sq)
        self._noted[ensemble] = record.tick
        comes = isinstance(record, InstanceMoved) and record.here
        if comes and host is not None and sq not in self._handed_over:
            self._absences[sq].append(Absence(host, self._noted_of[sq], record.tick, ensemble))
        if comes or host is None:
            self._handed_over.discard(sq)
            self.host_of[sq] = host = ensemble
        if ensemble == host:  # else it was cut off, and its notes have come later
            self._noted_of[sq] = record.tick
            if isinstance(record, InstanceMoved) and not record.here:
                self._handed_over.add(sq)

    def instances(self) -> Collection[NotedInstance]:
        """The notes of each SQ on each ensemble."""
        return self._instances.values()

    def take(self, ensemble: str, record: AnyRecord) -> None:
        """Take one more record of an ensemble."""
        sq = record.sq
        here = self._instances[ensemble, sq]
        match record:
            case Received():
                with_arc = self._with_arc(record)
                came = here.came[record.number] = Came(with_arc, self._key_of(with_arc))
                self.came[sq].append(came)
                if self._by_name[sq].trigger == "deadline" and record.port == 1:
                    here.due[record.start, record.stop] = came
            case Decided():
                ports = [index for index, port in enumerate(self._by_name[sq].ports) if port.constant is None]
                found = [
                    here.came.get(number) or self._moved_with(ensemble, record, ports[index : index + 1])
                    for index, number in enumerate(record.tokens)
                ]
                took = [came for came in found if came is not None]
                firing = self._firing(record, "fired", ensemble, took)
                firing.also = self._stands_on(sq, here, firing)
                here.open.append(firing)
            case Sent():
                last, added = self._numbers.get(record.arc, (0, 0))
                self._numbers[record.arc] = record.number, added + AGAIN if record.number <= last else added
                key = record.arc, record.number + self._numbers[record.arc][1]
                self.tokens[key] = record
                self._sent(here, key, record)
            case Fired():
                self._fired(ensemble, here, record)
            case TokenLeft():
                gone = here.came.get(record.number) or self._moved_with(ensemble, record, None)
                if gone is not None:
                    gone.left = record
                    here.left = self._firing(record, "left", ensemble, [gone])
            case Deadline():
                self.deadlines[sq].append(record)
                self._deadline(ensemble, here, record)
            case Counted():
                self.counted[sq].append(record)

    def _deadline(self, ensemble: str, here: NotedInstance, record: Deadline) -> None:
        if record.how == "set":
            return
        sq, interval = self._by_name[record.sq], (record.start, record.stop)
        due = here.due.get(interval) if sq.ports[1].sticky else here.due.pop(interval, None)
        due = due or self._moved_with(ensemble, record, [1])
        if record.how == "met":
            data = here.came.get(record.number) or self._moved_with(ensemble, record, [0])
            took = [] if data is None else [data]
            if data is not None:  # it goes on with what both have in common
                begin, end = max(record.start, data.record.start), min(record.stop, data.record.stop)
                record = msgspec.structs.replace(record, start=begin, stop=end)
            here.met = self._firing(record, "met", ensemble, took)
            here.met.also = [due] if due is not None else []
        elif sq.plan_b is not None:
            self._instances[ensemble, sq.plan_b].passed = due

    def _moved_with(
        self, ensemble: str, record: Decided | Deadline | TokenLeft, ports: list[int] | None
    ) -> Came | None:
        """The token that waited at an SQ when it moved here; None: there was none, or another one may be meant.

        Its number is of its former host. Of all that waited there, its port (None: any) and its interval tell it.
        """
        start, stop = record.start, record.stop
        found = [
            came
            for (other, sq), instance in self._instances.items()
            if sq == record.sq and other != ensemble
            for came in instance.came.values()
            if (ports is None or came.record.port in ports) and not came.used and came.left is None
            if max(came.record.start, start) < min(came.record.stop, stop)
        ]
        if not isinstance(record, Deadline) or ports == [1]:
            found = [came for came in found if came.record.start <= start and stop <= came.record.stop]
        return found[0] if len(found) == 1 else None

    def _stands_on(self, sq: str, here: NotedInstance, firing: NotedFiring) -> list[Came]:
        """The tokens at an SQ that a firing stands on besides those that it took."""
        if here.passed is not None:
            due, here.passed = here.passed, None
            return [due]
        if self._by_name[sq].function == "RESAMPLE" and not self._by_name[sq].body:
            before, sample = self._samples.get(sq), firing.took[0] if firing.took else None
            if before is None or sample is None or _middle(before) <= _middle(sample):
                firing.unknown += sq in self._samples and before is None
                self._samples[sq] = sample
                return [before] if before is not None else []
        return []

    def _with_arc(self, record: Received) -> Received:
        """A token with its arc, though it waited behind others while an SQ moved: then its note does not say it."""
        arcs = [] if record.arc else self.producers(record.sq, record.port)
        for sent in reversed(self.tokens.values()) if arcs else ():
            if sent.arc in arcs and (sent.start, sent.stop) == (record.start, record.stop):
                return msgspec.structs.replace(record, arc=sent.arc, token=sent.number)
        return record

    def _key_of(self, record: Received) -> Key:
        if not record.arc:
            return "", record.number
        return record.arc, record.token + self._numbers.get(record.arc, (0, 0))[1]

    def _firing(self, record: Decided | TokenLeft | Deadline, how: str, ensemble: str, took: list[Came]) -> NotedFiring:
        unknown = (len(record.tokens) if isinstance(record, Decided) else 1) - len(took)
        firing = NotedFiring(record.sq, how, record.tick, ensemble, record.start, record.stop, took, unknown)
        if how != "left":
            self.firings[record.sq].append(firing)
            for came in took:
                came.used.append(firing)
        return firing

    def _sent(self, here: NotedInstance, key: Key, record: Sent) -> None:
        kind = self._kinds.get(record.arc, "value")
        if kind == "tag":
            same = [
                firing for firing in reversed(here.open) if (firing.start, firing.stop) == (record.start, record.stop)
            ]
            if same:
                self._by(same[0], key)
            return
        at_once = here.left if kind == "unmatched" else here.met
        if at_once is not None and all(arc != record.arc for arc, _ in at_once.sent):
            self._by(at_once, key)
        else:
            here.results.append(key)

    def _fired(self, ensemble: str, here: NotedInstance, record: Fired) -> None:
        at = next(
            (k for k, firing in enumerate(here.open) if (firing.start, firing.stop) == (record.start, record.stop)),
            None,
        )
        sender = self._sends_for.get(record.sq)
        results = here.results if sender is None else [*here.results, *self._instances[ensemble, sender].results]
        if at is not None:
            firing = here.open[at]
            del here.open[: at + 1]  # those before it did not run
            firing.ran = record
            for key in results:
                self._by(firing, key)
        here.results = []
        if sender is not None:
            self._instances[ensemble, sender].results = []

    def _by(self, firing: NotedFiring, key: Key) -> None:
        firing.sent.append(key)
        self.sender[key] = firing

    def sources_of(self, key: Key) -> list[Key]:
        """A token and all that it came from, each once, from the token back to the sources."""
        found: dict[Key, None] = {}
        waits = [key]
        while waits:
            each = waits.pop()
            if each in found or not each[0]:
                continue
            found[each] = None
            firing = self.sender.get(each)
            waits += [came.key for came in (*firing.took, *firing.also)] if firing is not None else []
        return list(found)

    def origin(self, token: Key) -> Key:
        """A token as a body sent it: one that passed a deadline, or went to a handler, is on one more arc."""
        while (sender := self.sender.get(token)) is not None and sender.how != "fired" and sender.took:
            token = sender.took[0].key
        return token

    def arc_of(self, what: str) -> list[str]:
        """The arcs that a name stands for: an arc, an SQ's value arcs, or a variable of the program."""
        found = []
        for sq in self.graph.sqs:
            for index, arc in enumerate(sq.arcs):
                name = f"{sq.name}/{index}"
                if what == name or (what in (sq.name, arc.name) and arc.kind == "value"):
                    found.append(name)
        return found

    def producers(self, sq: str, port: int) -> list[str]:
        """The arcs that end at a port."""
        return [f"{name}/{arc}" for name, arc in wiring_of(self.graph).feeders.get((sq, port), ()) if name]
