"""States of instances that go on elsewhere, and the messages that bring them to the manager.

States are made and used by `engine/state.py`. Ticks are those of the root clock.
"""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec

from ticktalk.ranges import (
    MOST_LEFT_OUT,
    MOST_MET,
    MOST_MET_BY_ONE,
    MOST_SQS,
    MOST_STARTS,
    MOST_WAITING,
    Count,
    EnsembleName,
    Name,
    RootTick,
    Text,
    Value,
)
from ticktalk.time import Tick

SavedToken = tuple[Count, Tick, Count, Tick, Value]
"""A waiting token: slot, start, number, stop, value as MessagePack."""

SavedArrival = tuple[Count, Tick, Tick, Value]
"""A token that has had no turn yet: port, start, stop, value as MessagePack."""

SavedDeadline = tuple[Tick, Count, Tick, Tick]
"""A deadline: start, number, stop, and the root tick of it."""


_waiting, _by_arc = msgspec.Meta(max_length=MOST_WAITING), msgspec.Meta(max_length=MOST_SQS)
_met, _met_by_one = msgspec.Meta(max_length=MOST_MET), msgspec.Meta(max_length=MOST_MET_BY_ONE)

_ENTRY, _FIELD = 64, 24
"""Bytes that an entry of a list of a state has in a message beside its value or name, and that a field has, at most."""


class SavedSync(TypedDict, total=False):
    """The state of a firing rule of any kind (`TTSQSync.save`)."""

    newest: Tick
    number: Count
    inbox: Annotated[list[SavedArrival], _waiting]
    remote: Annotated[list[SavedArrival], _waiting]
    met: Annotated[dict[Count, Annotated[list[Count], _met_by_one]], _met]
    last_start: Tick
    sticky: Annotated[list[SavedToken], _by_arc]
    ports: Annotated[list[SavedToken], _waiting]
    settled: Annotated[list[SavedToken | None], _by_arc]
    considered: Tick
    not_before: Tick | None
    known: Tick
    due: Annotated[list[SavedDeadline], _waiting]
    missed: Annotated[list[SavedDeadline], _waiting]
    answered: Annotated[list[Count], _waiting]
    data: Annotated[list[tuple[Tick, SavedToken]], _waiting]


class InstanceState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One instance of one context, as it goes on elsewhere.

    Attributes:
        sync: the state of its firing rule (`TTSQSync.save`).
        body: its `sq_state` as MessagePack; None: it has none, or it was not to be had.
        sent: (when it moves) arc to the number of tokens it has sent to other ensembles.
        received: (when it moves) arc to the number of the last token that it has taken from another ensemble.
        late: (of a stream) the instants that have passed since then are run, late, in the place to which it was to go.
            If it is lost there, some of them may have been run, and it goes on as after any loss.
    """

    sync: SavedSync = {}
    body: Value | None = None
    sent: Annotated[dict[Name, Count], _by_arc] = {}
    received: Annotated[dict[Name, Count], _by_arc] = {}
    late: bool = False

    @property
    def values(self) -> list[bytes]:
        """The values in it: the `sq_state` and those of tokens."""
        sync = self.sync
        arrived = [token[3] for token in (*sync.get("inbox", ()), *sync.get("remote", ()))]
        waiting = [token[4] for token in (*sync.get("ports", ()), *sync.get("sticky", ()))]
        settled = [token[4] for token in sync.get("settled", ()) if token is not None]
        data = [token[4] for _, token in sync.get("data", ())]
        return [*([] if self.body is None else [self.body]), *arrived, *waiting, *settled, *data]

    @property
    def size(self) -> int:
        """The bytes that it has in a message, at most."""
        parts = [part for part in self.sync.values() if isinstance(part, list | dict)]
        entries = sum(map(len, (*parts, *self.sync.get("met", {}).values(), self.sent, self.received)))
        names = sum(len(arc.encode()) for arc in (*self.sent, *self.received))
        return sum(map(len, self.values)) + names + _ENTRY * (entries + 1) + _FIELD * len(self.sync)

    @property
    def fits(self) -> bool:
        """True if it holds no more tokens than a message may."""
        met = self.sync.get("met", {})
        return (
            all(len(part) <= MOST_WAITING for part in self.sync.values() if isinstance(part, list))
            and len(met) <= MOST_MET
            and all(len(slots) <= MOST_MET_BY_ONE for slots in met.values())
        )


States = Annotated[dict[Name, InstanceState], msgspec.Meta(max_length=MOST_SQS)]
"""SQs of one context to their states."""

StatesOfStarts = Annotated[dict[Count, States], msgspec.Meta(max_length=MOST_STARTS)]
"""The same by context."""

OneState = Annotated[dict[Name, InstanceState], msgspec.Meta(max_length=1)]
"""The state of one SQ, or none."""

OneStateOfStarts = Annotated[dict[Count, OneState], msgspec.Meta(max_length=1)]
"""The same by context."""

LeftOut = Annotated[list[Text], msgspec.Meta(max_length=MOST_LEFT_OUT)]
"""Values without codec, such as "count-1: sq_state['camera'] (VideoCapture)"."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The instances of one context on one ensemble, as they were at `tick`: those that changed since the last."""

    graph: Name
    context: Count
    ensemble: EnsembleName
    tick: RootTick
    states: States
    generations: dict[Name, Count] = {}
    left_out: LeftOut = []


class LongCheckpoint(Checkpoint, frozen=True):
    """A checkpoint as it may be where it is long: of one instance at most."""

    states: OneState
    generations: Annotated[dict[Name, Count], msgspec.Meta(max_length=1)] = {}


class Handed(msgspec.Struct, frozen=True):
    """The states of handed-over instances, by context; `more`: a part of them, and another part follows.

    `problem`: why they cannot be sent; they go on where they are.
    """

    graph: Name
    ensemble: EnsembleName
    states: StatesOfStarts
    left_out: LeftOut = []
    more: bool = False
    problem: Text | None = None


class LongHanded(Handed, frozen=True):
    """The same as it may be where it is long: of one instance at most."""

    states: OneStateOfStarts
