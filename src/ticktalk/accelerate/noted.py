"""The records of a plan that runs.

Copies of the taps note the stand-ins' period as taps note any other, with a `Given` for each value. The generated code
keeps the values themselves, period after period. Both together are what the taps would have noted, and they are told so
(`records.Repeated`). Nothing here knows what is noted when.

A value that a body could change afterwards is encoded at once.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from ticktalk.accelerate.events import Part, PlanEvent, StandIn, told_at_once
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.firing.arrival import ArrivalSync
from ticktalk.engine.firing.deadline import DeadlineSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.matching import Port
from ticktalk.engine.state import Numbered
from ticktalk.engine.tap import Numbers
from ticktalk.records import AnyRecord, Deadline, Decided, Received, Repeated, Sent, TokenLeft
from ticktalk.time import INFINITY, Tick
from ticktalk.values.codec import PLAIN, Encoded, encoded

TOGETHER = 4
"""Times from which on periods are noted as one."""

MOST_NOTED = 1 << 16
"""Values that are kept until they are noted, at most."""

_TICKS = ("tick", "start", "stop", "due", "began", "ended")


class Fixed(int):
    """The number of a token that stays at its port, period after period."""


class Given(NamedTuple):
    """The value of a token in the notes: of which event, and on which arc; None: of an output that is told at once."""

    place: int
    arc: str
    value: StandIn | None


def as_it_is(value: Any) -> Any:
    """A value as it is now: encoded, if it could be changed.

    Raises:
        NoCodecError: it cannot be sent.
    """
    return value if value.__class__ in PLAIN else Encoded(bytes(encoded(value)))


class Notes:
    """The notes of one trace.

    Args:
        noted: by the copies of the taps, each with the context of the tap.
        before, after: by id of a context, the numbers of its copy at the begin and at the end.
        begin: the tick from which the events' times count.
        events: of the trace, and `length`: its ticks.

    Attributes:
        given: the names of the values that the code gives, in order.
    """

    def __init__(
        self,
        noted: list[tuple[ContextParts, AnyRecord]],
        before: dict[int, Numbers],
        after: dict[int, Numbers],
        begin: int,
        events: list[PlanEvent],
        length: int,
    ) -> None:
        self.given: list[str] = []
        self._before, self._length = before, length
        self._grown = {place: _difference(after[place], before[place]) for place in before}
        self._of: dict[int, tuple[ContextParts, list[AnyRecord]]] = {}
        self._column: dict[tuple[int, str], int] = {}
        for context, record in noted:
            self._of.setdefault(id(context), (context, []))[1].append(record)
            if isinstance(record, Sent):
                value: Any = record.value
                self._column[value.place, value.arc] = len(self.given)
                if value.value is not None and value.value.wire < 0:
                    self.given.append(value.value.text(begin))
                else:
                    by_arc = f"[{value.arc!r}]" if told_at_once(events[value.place]) else ""
                    self.given.append(f"n{value.place}{by_arc}")

    def tell(self, kept: list[Any], ticks: int, times: int) -> int:
        """Tell the taps of the periods whose values were `kept`; `ticks`: from their begin in the notes to the first.

        Gives the bytes of long values among them.
        """
        width = len(self.given)
        columns: list[Any] = [kept[place : times * width : width] for place in range(width)]
        kept.clear()
        size = 0
        for context, records in self._of.values() if times else ():
            tap, grown = context.tap, self._grown[id(context)]
            assert tap is not None
            ahead = _difference(tap.numbers, self._before[id(context)])
            given: list[Any] = [record.value for record in records if isinstance(record, Sent)]
            values = [columns[self._column[each.place, each.arc]] for each in given]
            first = [_moved(record, ticks, ahead) for record in records]
            _add(ahead, grown, 1)
            second = [_moved(record, ticks + self._length, ahead) for record in records]
            told = Repeated(first[0].tick, "", first, second, times, values)
            for record in [told] if times >= TOGETHER else told.each():
                tap.note(record)
            _add(tap.numbers, grown, times)
            size += sum(map(_size, values))
        return size


def _size(column: Any) -> int:
    """The bytes of values that may be long."""
    kind = column[0].__class__
    if kind in (str, bytes):
        return sum(map(len, map(str, column))) if kind is str else sum(len(v) for v in column if v.__class__ is bytes)
    return sum(len(value.data) for value in column if value.__class__ is Encoded) if kind is Encoded else 0


def _difference(one: Numbers, other: Numbers) -> Numbers:
    pairs = zip(one, other, strict=True)
    return Numbers(*(Counter({key: mine[key] - theirs[key] for key in {*mine, *theirs}}) for mine, theirs in pairs))


def _add(numbers: Numbers, grown: Numbers, times: int) -> None:
    for mine, more in zip(numbers, grown, strict=True):
        for key, count in more.items():
            mine[key] += count * times


def _moved(record: AnyRecord, ticks: int, ahead: Numbers) -> AnyRecord:
    """A record, so many ticks later, when so many more tokens have been counted."""
    said: dict[str, Any] = {
        name: getattr(record, name) + ticks for name in _TICKS if abs(getattr(record, name, INFINITY)) < INFINITY
    }
    received = ahead.received[record.sq]
    if isinstance(record, Sent):
        said["number"] = record.number + ahead.sent[record.arc]
        said["value"] = b""
    elif isinstance(record, Received):
        said["number"] = record.number + received
        said["token"] = record.token + (ahead.came if record.remote else ahead.sent)[record.arc]
    elif isinstance(record, Decided):
        said["tokens"] = [_numbered(number, received) for number in record.tokens]
    elif isinstance(record, TokenLeft) or (isinstance(record, Deadline) and record.how == "met"):
        said["number"] = _numbered(record.number, received)
    return msgspec.structs.replace(record, **said)


def _numbered(number: int, received: int) -> int:
    return int(number) if number.__class__ is Fixed else number + received


# The numbers of tokens that wait.


def opened(value: Any) -> Any:
    """The value of a token that waits."""
    return value.value if value.__class__ is Numbered else value


def stand_in(value: Any, stays: bool = False) -> Any:
    """A stand-in for what waits, with its number."""
    made = StandIn(-1, 0)
    if value.__class__ is not Numbered:
        return made
    return Numbered(Fixed(value.number) if stays else value.number, made)


def ahead_of_rule(part: Part) -> int | None:
    """How many tokens its tap has counted more than a firing rule; None: there is no tap."""
    tap = part.context.tap
    return None if tap is None else tap.numbers.received[part.sq.name] - part.sync.number


def numbered(value: Any, number: int, ahead: int | None) -> Any:
    """A value that waits as the token of this number of its firing rule."""
    return value if ahead is None else Numbered(number + ahead, value)


def settled(sync: Any) -> dict[int, Any]:
    """By slot, the values that stay at a firing rule."""
    if isinstance(sync, GridSync):
        return dict(enumerate(sync.values))
    tokens = sync.sticky.items() if isinstance(sync, ArrivalSync) else ()
    return {slot: token[3] for slot, token in tokens if token is not None}


def staying(sync: Any) -> dict[int, int]:
    """By slot, the numbers of the tokens whose values stay."""
    return {slot: value.number for slot, value in settled(sync).items() if value.__class__ is Numbered}


def in_step(part: Part, ports: list[Port]) -> bool:
    """True if the tokens at these ports have the numbers by which a plan knows them."""
    ahead = ahead_of_rule(part)
    if ahead is None:
        return True
    if isinstance(part.sync, DeadlineSync):
        waiting = [(token[1], token[3][1]) for token in part.sync.data.tokens]
    else:
        waiting = [(token[1], token[3]) for port in ports for token in port.tokens]
    if isinstance(part.sync, ArrivalSync):
        waiting += [(token[1], token[3]) for token in part.sync.sticky.values() if token is not None]
    return all(value.__class__ is Numbered and value.number == number + ahead for number, value in waiting)


def first_eviction(part: Part, ports: list[Port], used: list[int], newest: Tick) -> Tick:
    """The begin of a period up to which no token is evicted that waits there beside the `used` last ones.

    `newest`: the newest start of a period, counted from its end.
    """
    if part.context.tap is None:
        return INFINITY
    if isinstance(part.sync, DeadlineSync):
        ports, used = ports[:1], used[:1]  # nothing is noted of deadlines that were missed long ago
    waiting = [port.tokens[: len(port.tokens) - count] for port, count in zip(ports, used, strict=True)]
    beside = [token[2] for tokens in waiting for token in tokens]
    return min(beside, default=INFINITY) + part.sync.eviction_bound - max(newest, 0)
