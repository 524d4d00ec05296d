"""Records of what happened in a context: what a tap notes, in simulation and on devices alike.

A token is known everywhere by its arc and its number there, from 1. At an SQ that gets it, it has one more number: the
count of tokens that have reached a port of that SQ. `Decided`, `TokenLeft` and `Deadline` name tokens by that. All
times are root ticks; `tick` is the time of the note, by the clock of the ensemble that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Literal

import msgspec

from ticktalk.ranges import Count, EnsembleName, Name, RootTick
from ticktalk.time import Tick
from ticktalk.values.codec import encoded, split

Outcome = Literal["sent", "nothing", "failed"]
"""The outcome of a firing: a result was sent, its body gave none, it raised."""


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened at an SQ.

    Attributes:
        tick: when.
        sq: the SQ's name.
    """

    tick: int
    sq: str


class Sent(Record, frozen=True, array_like=True, tag="sent"):
    """A token went along an arc: its interval, and its value as `encode_value` gives it (empty: it was too long)."""

    arc: str
    number: int
    start: Tick
    stop: Tick
    value: bytes


class Received(Record, frozen=True, array_like=True, tag="received"):
    """A token reached a port.

    Attributes:
        port: the port's index among those of the SQ.
        number: the count of tokens that have reached the SQ, with this one.
        arc: the arc on which it came; "": it is an input of the graph.
        token: its number on that arc.
        remote: it came from another ensemble.
    """

    port: int
    number: int
    start: Tick
    stop: Tick
    arc: str
    token: int
    remote: bool


class Turn(Record, frozen=True, array_like=True, tag="turn"):
    """The SQ considered what it had received since its last turn, and what was due."""


class Decided(Record, frozen=True, array_like=True, tag="decided"):
    """A set was to fire: its interval, and its tokens by their numbers at the SQ, one for each arc port."""

    start: Tick
    stop: Tick
    tokens: list[int]


class TokenLeft(Record, frozen=True, array_like=True, tag="left"):
    """A token left its SQ without having fired: the counter that says why, and the ports that had nothing for it."""

    number: int
    start: Tick
    stop: Tick
    why: str
    missing: list[str]


class Counted(Record, frozen=True, array_like=True, tag="counted"):
    """A counter of the SQ went up (`counters.KINDS`); that of lost tokens goes down when one comes later."""

    kind: str
    count: int


class Fired(Record, frozen=True, array_like=True, tag="fired"):
    """The body ran, on a set of interval [start, stop): when it began and ended, and its outcome."""

    start: Tick
    stop: Tick
    began: int
    ended: int
    outcome: Outcome


class Deadline(Record, frozen=True, array_like=True, tag="deadline"):
    """A deadline of interval [start, stop) at tick `due` is set, met (`number`: by which data) or missed."""

    start: Tick
    stop: Tick
    due: Tick
    how: Literal["set", "met", "missed"]
    number: int


class InstanceMoved(Record, frozen=True, array_like=True, tag="moved"):
    """An instance came (with what was saved of its state) or left.

    Attributes:
        late: (a stream that came) ticks by which its instants may be late, and are run all the same.
    """

    here: bool
    state: bytes
    late: int = 0


class GridSet(Record, frozen=True, array_like=True, tag="grid"):
    """A stream has another grid for instants later than `after`: so many periods (`per`) take `period` ticks."""

    period: int
    per: int
    phase: int
    width: int
    after: int


class GoesOnLate(Record, frozen=True, array_like=True, tag="late"):
    """A stream that was held goes on with its instants from tick `since` on (None: as it was not held).

    Attributes:
        late: ticks by which its instants may be late from now on, and are run all the same.
    """

    late: int
    since: int | None


AnyRecord = (
    Sent | Received | Turn | Decided | TokenLeft | Counted | Fired | Deadline | InstanceMoved | GridSet | GoesOnLate
)


class Together(Record, frozen=True, array_like=True):
    """Notes of the same kind that were made at once, as one: `each` gives them."""

    @property
    def count(self) -> int:
        """The number of notes."""
        raise NotImplementedError

    @property
    def names(self) -> list[str]:
        """By note, the arc or the SQ by which it is counted if it is left out."""
        raise NotImplementedError

    def each(self) -> Iterator[AnyRecord]:
        """The notes, in order."""
        raise NotImplementedError


class SentTogether(Together, frozen=True, array_like=True, tag="sent together"):
    """A token went along each of several arcs of an SQ: `Sent`; `value`: an array of their values, or empty."""

    arcs: list[str]
    numbers: list[int]
    start: Tick
    stop: Tick
    value: bytes

    def __post_init__(self) -> None:
        if len(self.arcs) != len(self.numbers):
            raise ValueError("as many numbers as arcs are wanted")

    @property
    def count(self) -> int:
        return len(self.arcs)

    @property
    def names(self) -> list[str]:
        return self.arcs

    def each(self) -> Iterator[Sent]:
        values = split(self.value) if self.value else [b""] * len(self.arcs)
        for arc, number, value in zip(self.arcs, self.numbers, values, strict=True):
            yield Sent(self.tick, self.sq, arc, number, self.start, self.stop, bytes(value))


class TakenTogether(Together, frozen=True, array_like=True, tag="taken together"):
    """Tokens of arcs of other ensembles came to SQs with one port for tokens, and were to fire at once.

    So there is a `Received`, a `Turn` and a `Decided` of each SQ.

    Attributes:
        sqs, ports, numbers, arcs, tokens: the names of the SQs; by SQ, what `Received` has.
    """

    sqs: list[str]
    ports: list[int]
    numbers: list[int]
    arcs: list[str]
    tokens: list[int]
    start: Tick
    stop: Tick

    def __post_init__(self) -> None:
        if {len(self.ports), len(self.numbers), len(self.arcs), len(self.tokens)} != {len(self.sqs)}:
            raise ValueError("as many ports, numbers, arcs and tokens as SQs are wanted")

    @property
    def count(self) -> int:
        return 3 * len(self.sqs)

    @property
    def names(self) -> list[str]:
        return [name for name in self.sqs for _ in range(3)]

    def each(self) -> Iterator[AnyRecord]:
        tick, start, stop = self.tick, self.start, self.stop
        columns = zip(self.sqs, self.ports, self.numbers, self.arcs, self.tokens, strict=True)
        for sq, port, number, arc, token in columns:
            yield Received(tick, sq, port, number, start, stop, arc, token, True)
        for sq, number in zip(self.sqs, self.numbers, strict=True):
            yield Turn(tick, sq)
            yield Decided(tick, sq, start, stop, [number])


class FiredTogether(Together, frozen=True, array_like=True, tag="fired together"):
    """The bodies of several SQs ran one after the other: `Fired`, from the first one to the last one."""

    sqs: list[str]
    start: Tick
    stop: Tick
    began: int
    ended: int
    outcomes: list[Outcome]

    def __post_init__(self) -> None:
        if len(self.sqs) != len(self.outcomes):
            raise ValueError("as many outcomes as SQs are wanted")

    @property
    def count(self) -> int:
        return len(self.sqs)

    @property
    def names(self) -> list[str]:
        return self.sqs

    def each(self) -> Iterator[Fired]:
        for sq, outcome in zip(self.sqs, self.outcomes, strict=True):
            yield Fired(self.tick, sq, self.start, self.stop, self.began, self.ended, outcome)


LONGEST = 1 << 24
"""Bytes of a value that is noted whole; of a longer one only the interval is."""

MOST_TIMES = 1 << 16
"""Times that records come again at most, in one `Repeated`."""


class Repeated(Together, frozen=True, array_like=True, tag="repeated"):
    """Records that come again and again: those of a common period of a simulation.

    Attributes:
        first, second: those of the first and of the second time. From time to time each number, also a tick, grows as
            from the first to the second.
        times: how often they come in all.
        values: for each `Sent` of one time, its values, time by time, as bodies gave them; empty: they are elsewhere.
    """

    first: list[AnyRecord]
    second: list[AnyRecord]
    times: int
    values: list[Any] = []

    def __post_init__(self) -> None:
        if [record.__class__ for record in self.first] != [record.__class__ for record in self.second]:
            raise ValueError("the same records the second time are wanted")
        if not 0 < self.times <= MOST_TIMES:
            raise ValueError(f"1 to {MOST_TIMES} times are wanted")

    @property
    def count(self) -> int:
        return len(self.first) * self.times

    @property
    def names(self) -> list[str]:
        return [name for record in self.first for name in names_of(record)] * self.times

    def each(self) -> Iterator[AnyRecord]:
        rows = []
        values = iter(self.values)
        for one, other in zip(self.first, self.second, strict=True):
            fields, then = msgspec.structs.astuple(one), msgspec.structs.astuple(other)
            steps = [*map(_step, fields, then)]
            column = next(values, None) if isinstance(one, Sent) else None
            rows.append((one.__class__, fields, steps, column))
        for time in range(self.times):
            for kind, fields, steps, column in rows:
                found = [_after(field, step, time) for field, step in zip(fields, steps, strict=True)]
                if column is not None:
                    found[-1] = noted(column[time])
                yield kind(*found)


def noted(value: Any) -> bytes:
    """A value as `Sent` has it."""
    data = encoded(value)
    return bytes(data) if len(data) <= LONGEST else b""


def _step(one: Any, other: Any) -> Any:
    """By how much a field grows from time to time; None: it does not."""
    if one.__class__ is list and one and one[0].__class__ is int:
        return [_step(*both) or 0 for both in zip(one, other, strict=True)]
    return other - one if one.__class__ is int and other.__class__ is int and other != one else None


def _after(field: Any, step: Any, times: int) -> Any:
    if step is None:
        return field
    if step.__class__ is list:
        return [each + times * by for each, by in zip(field, step, strict=True)]
    return field + times * step


Noted = AnyRecord | SentTogether | TakenTogether | FiredTogether | Repeated
"""A note of a tap. Only the way to a file knows that some records stand for many."""


def names_of(record: Noted) -> list[str]:
    """The arcs or SQs by which a record is counted if it is left out, one for each that it stands for."""
    if isinstance(record, Together):
        return record.names
    return [record.arc if isinstance(record, Sent) else record.sq]


def count_of(records: Iterable[Noted]) -> int:
    """The number of records, each by itself."""
    return sum(record.count if isinstance(record, Together) else 1 for record in records)


def each_of(records: Iterable[Noted]) -> Iterator[AnyRecord]:
    """The records, each by itself."""
    for record in records:
        if isinstance(record, Together):
            yield from record.each()
        else:
            yield record


class TookOver(msgspec.Struct, frozen=True):
    """A graph goes on as another version of itself.

    Attributes:
        at: the streams of that version fire from this root tick on, those of the one before up to there.
        contexts: from each start of the version that ended to that of the one which goes on.
    """

    at: int
    contexts: dict[int, int]


class Records(msgspec.Struct, frozen=True, array_like=True):
    """Records of one ensemble that follow one another.

    Attributes:
        graph, context: of which start of which graph.
        ensemble: which has noted them.
        first: the number of the first one among all of its records of this context, from 0; each of several that were
            noted as one counts.
        uncertainty: microseconds by which its clock may differ from the manager's at most; None: not known.
        records: in the order in which they were noted.
        missing: by arc (or SQ), how many were left out since the records before, because there were too many.
    """

    graph: str
    context: int
    ensemble: str
    first: int
    uncertainty: int | None
    records: list[Noted]
    missing: dict[str, int] = {}


class Recorded(msgspec.Struct, frozen=True, array_like=True):
    """Records on their way to the manager.

    Attributes:
        ensemble: which has noted them, of a start (`context`) of a graph.
        data: a `Records` as MessagePack.
        last: the context has ended there, and no more will come.
    """

    graph: Name
    context: Count
    ensemble: EnsembleName
    data: bytes
    last: bool = False


class WatchRequest(msgspec.Struct):
    """Watch an arc for a while (`hosted/arc_watch.py`); `reply` gets its full name, or the error.

    Attributes:
        graph: the graph's name.
        arc: `SQ`, or `SQ/INDEX` of one that has several arcs.
    """

    graph: str
    arc: str
    reply: Future[Any] | None = None


class WatchArc(msgspec.Struct, frozen=True):
    """The manager asks for the tokens of an arc of a graph, for a while."""

    graph: Name
    arc: Name

    @property
    def key(self) -> tuple[str, str]:
        """The arc among those of all graphs."""
        return self.graph, self.arc


class ArcToken(msgspec.Struct, frozen=True):
    """A token of an arc that is watched.

    Attributes:
        graph, context, arc: on which arc it went.
        ensemble: the host of its SQ.
        start, stop: its interval, root ticks, possibly infinite.
        tick: the root tick at which it was sent.
        data: its value as MessagePack.
    """

    graph: Name
    context: Count
    arc: Name
    ensemble: EnsembleName
    start: Tick
    stop: Tick
    tick: RootTick
    data: bytes
