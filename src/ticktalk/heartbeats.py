"""The payloads of heartbeats, and of questions whether the manager is heard: plain data (`payloads.py`)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ticktalk.ranges import Count, EnsembleName, Name, RootTick, Span

Refused = Annotated[dict[Name, Count], msgspec.Meta(max_length=100)]
"""By kind (`counters.REFUSED`), how much came and was not taken."""


class ControlState(msgspec.Struct, frozen=True, array_like=True):
    """The state of control messages between an ensemble and the manager, as a heartbeat of one of them says.

    Attributes:
        taken: the number up to which it has taken those of the other.
        first: the number of the first that it keeps, because it may not have come; 0: nothing is said.
        last: the number of the last that it has sent.
        again: those after `taken` are missing: they are to be sent again.
    """

    taken: Count = 0
    first: Count = 0
    last: Count = 0
    again: bool = False


class Voters(msgspec.Struct, frozen=True, array_like=True):
    """A list of the ensembles that say whether they hear the manager (`manager/votes.py`); 0: none is known yet."""

    number: Count = 0
    names: list[EnsembleName] = []


class Ping(msgspec.Struct, frozen=True, array_like=True):
    """A heartbeat, half of a clock exchange (ticks of the sender's root clock), and what was refused, by kind.

    `first`, `number`: of its numbered outputs, the first that it keeps, or the next, and the last (0, 0: it has none).
    `late`: how late its host has let it send heartbeats of late.
    `heard`: `asked` of the last one whose answer it took. `voters`: the number of the list of voters that it has.
    """

    name: EnsembleName
    asked: RootTick
    offset: RootTick = 0
    uncertainty: Span = 0
    refused: Refused = {}
    first: Count = 0
    number: Count = 0
    control: ControlState = ControlState()
    late: Span = 0
    heard: RootTick = 0
    voters: Count = 0


class Pong(msgspec.Struct, frozen=True, array_like=True):
    """The manager's answer to a `Ping`; `received` and `answered` on the manager's root clock.

    `voters`: the present list, if the ensemble has another one. `again`: the next heartbeat is wanted at once.
    """

    asked: RootTick
    received: RootTick
    answered: RootTick
    control: ControlState = ControlState()
    voters: Voters | None = None
    again: bool = False

    def __post_init__(self) -> None:
        if self.answered < self.received:
            raise ValueError("it was answered before it was received")


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """An ensemble that has lost the manager asks another for how long it has heard nothing of it.

    `asked`: when, in ticks of its root clock.
    """

    name: EnsembleName
    asked: RootTick = 0


class Tell(msgspec.Struct, frozen=True, array_like=True):
    """The answer to `Ask`: microseconds since the manager was heard of; `asked` is that of the question."""

    name: EnsembleName
    silence: Span
    asked: RootTick = 0
