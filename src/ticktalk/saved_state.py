"""The state of an instance that goes on elsewhere, as messages carry it; made and used by `engine/state.py`.

Ticks are those of the root clock.
"""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec

from ticktalk.ranges import MOST_SQS, MOST_STARTS, Count, Name, Value
from ticktalk.time import Tick

SavedToken = tuple[Count, Tick, Count, Tick, Value]
"""A waiting token: slot, start, number, stop, value as MessagePack."""

SavedArrival = tuple[Count, Tick, Tick, Value]
"""A token that has had no turn yet: port, start, stop, value as MessagePack."""

SavedDeadline = tuple[Tick, Count, Tick, Tick]
"""A deadline: start, number, stop, and the root tick of it."""


class SavedSync(TypedDict, total=False):
    """The state of a firing rule of any kind (`TTSQSync.save`)."""

    newest: Tick
    number: Count
    inbox: list[SavedArrival]
    remote: list[SavedArrival]
    met: dict[Count, list[Count]]
    last_start: Tick
    sticky: list[SavedToken]
    ports: list[SavedToken]
    settled: list[SavedToken | None]
    considered: Tick
    not_before: Tick | None
    known: Tick
    due: list[SavedDeadline]
    missed: list[SavedDeadline]
    answered: list[Count]
    data: list[tuple[Tick, SavedToken]]


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
    sent: dict[Name, Count] = {}
    received: dict[Name, Count] = {}
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
        """The bytes of the values in it."""
        return sum(map(len, self.values))


States = Annotated[dict[Name, InstanceState], msgspec.Meta(max_length=MOST_SQS)]
"""SQs of one context to their states."""

StatesOfStarts = Annotated[dict[Count, States], msgspec.Meta(max_length=MOST_STARTS)]
"""The same by context."""
