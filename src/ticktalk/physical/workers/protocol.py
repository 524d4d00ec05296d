"""The protocol between the timekeeper and a worker: a struct for each command and each answer.

Between processes, each is a MessagePack array that begins with the struct's tag (`frames`). To threads of the same
process, the structs are handed as they are. Commands about one body or one region are carried out in their order, and
each of them but `Restore` and `SplitRegion` has one last answer. `GoOn` and `LeaveOutStalest` are taken before those
that wait.

`start`, `stop`, `tick` and `now` are root ticks. `instant`, `following`, `begun` and `ended` are times of the host's
monotonic clock, in microseconds. Values are MessagePack, as bytes or as marked by `frames`.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from ticktalk.payloads import FiringError
from ticktalk.physical.regions.messages import FormRegion, RegionRan, RegionSkipped, RunRegion, SplitRegion
from ticktalk.series import MetricName, Series
from ticktalk.time import Tick


class Harmless(msgspec.Struct, array_like=True):
    """The names and values that a harmless body needs beside its source.

    Attributes:
        means: by global name, the function or module of Python that it holds.
        constants: the other global names and their plain values, encoded.
        defaults, by_name: the defaults of the last parameters, and of keyword-only ones by name, encoded.
    """

    means: dict[str, str]
    constants: bytes
    defaults: bytes
    by_name: bytes


class LoadBodies(msgspec.Struct, array_like=True, tag="load"):
    """Compile the bodies of these SQs of a graph (as JSON), and make the drivers that they use.

    Attributes:
        worker: the name of the worker, which the answer repeats; "": no answer is waited for.
        values: by SQ, values that have to fit the classes of the graph, which is there already.
        number: that of the load, which the answer repeats.
        looks: the answer says which of the bodies are harmless.
        harmless: to the worker "home": the bodies, in place of `sqs`.
    """

    graph: str
    text: bytes
    sqs: list[str]
    worker: str = ""
    values: dict[str, list[bytes]] = {}
    number: int = 0
    looks: bool = False
    harmless: dict[str, Harmless] = {}


class BodiesLoaded(msgspec.Struct, array_like=True, tag="loaded"):
    """The answer to `LoadBodies`; `problem` is None if there was none.

    Attributes:
        harmless: the SQs whose bodies may run where time is kept (`home`).
    """

    graph: str
    problem: str | None
    worker: str = ""
    number: int = 0
    harmless: dict[str, Harmless] = {}


class NewInstance(msgspec.Struct, array_like=True):
    """An SQ of a context that begins: the number of its body, the wanted parts of its result, the result's shape."""

    ident: int
    sq: str
    paths: Any
    unpack: Any


class Start(msgspec.Struct, array_like=True, tag="start"):
    """Make the bodies of a context that started at a tick."""

    graph: str
    context: int
    tick: int
    instances: list[NewInstance]


class RunBody(msgspec.Struct, array_like=True, tag="fire"):
    """Run a body once.

    Attributes:
        ident: the number of the body.
        start, stop: the interval of the firing.
        values: by arc port, a value, or the list of the values of a tuple; `[start, stop, value]` for a body that gets
            full tokens.
        now: when the firing was decided.
        instant: of a source: the instant for which it fires; of a body that may ask: when it was decided; else None.
        following: of a source: the time from which on it cannot start any more; else None.
    """

    ident: int
    start: Tick
    stop: Tick
    values: list[Any]
    now: int
    instant: int | None = None
    following: int | None = None


class FiringEnded(msgspec.Struct, array_like=True, tag="fired"):
    """The answer to `RunBody`.

    Attributes:
        outcome: the result as `results.encoder` makes it, or the error that the body raised.
        start, stop: the interval of the result.
        counted: a counter to add to, or None. "skipped": it was too late to start. "late_starts": it became late after
            its firing was decided. Others are counted by an instruction.
    """

    ident: int
    outcome: list[Any] | FiringError
    start: Tick
    stop: Tick
    begun: int
    ended: int
    counted: str | None = None


class SomeResults(msgspec.Struct, array_like=True, tag="sent"):
    """Results of a firing that has more: `(result, start, stop)` each, as in `FiringEnded`, which follows.

    The firing may wait for `GoOn`, so that only so many results are under way.
    """

    ident: int
    results: list[tuple[list[Any], Tick, Tick]]
    ended: int


class GoOn(msgspec.Struct, array_like=True, tag="go on"):
    """The timekeeper has taken what a firing sent."""

    ident: int


class LeaveOutStalest(msgspec.Struct, array_like=True, tag="leave out"):
    """Do not run the stalest firing of a body that has not begun: as many wait as may."""

    ident: int


class FiringLeftOut(msgspec.Struct, array_like=True, tag="left out"):
    """The answer to `LeaveOutStalest`: the interval of the firing, which has no other answer; None: none waited."""

    ident: int
    interval: tuple[Tick, Tick] | None


class Save(msgspec.Struct, array_like=True, tag="save"):
    """Give a body's `sq_state`."""

    ident: int


class Begun(msgspec.Struct, array_like=True, tag="begun"):
    """A body with a timeout begins, at a monotonic time (microseconds); `FiringEnded` follows, unless it hangs."""

    ident: int
    begun: int


class MetricsSet(msgspec.Struct, array_like=True, tag="metrics"):
    """The metrics that a body has set in a firing, whose answer follows."""

    ident: int
    series: dict[MetricName, Series]


class SavedState(msgspec.Struct, array_like=True, tag="saved"):
    """The answer to `Save`: the state as MessagePack, and the names of the parts without codec."""

    ident: int
    sq_state: bytes | None
    left_out: list[str]


class Restore(msgspec.Struct, array_like=True, tag="restore"):
    """Let a body go on with this `sq_state`."""

    ident: int
    sq_state: bytes


class Leave(msgspec.Struct, array_like=True, tag="leave"):
    """To the worker "home": let a body go on in the worker process, and why."""

    ident: int
    why: str


class Drop(msgspec.Struct, array_like=True, tag="drop"):
    """Forget a body: its instance has ended."""

    ident: int


class Stop(msgspec.Struct, array_like=True, tag="stop"):
    """Forget a graph and all bodies of its contexts."""

    graph: str


class Map(msgspec.Struct, array_like=True, tag="map"):
    """Read values by a row in the memory that another process has under a descriptor (`memory.arena`)."""

    number: int
    process: int
    descriptor: int
    nonce: bytes
    row: int


class Mapped(msgspec.Struct, array_like=True, tag="mapped"):
    """The answer to `Map`: whether the worker can read there."""

    number: int
    reads: bool


class Unmap(msgspec.Struct, array_like=True, tag="unmap"):
    """Forget a memory: no value there will be handed to this worker."""

    number: int


OfUnit = RunBody | Save | Restore | RunRegion | SplitRegion | Leave
"""Commands that a body, or all bodies of a region, carry out one after the other."""

BRIEF = (*get_args(OfUnit), GoOn, LeaveOutStalest)
"""The commands that are taken at once: a unit carries them out later, goes on, or has one less to carry out. They are
a tuple, because a union of unions would be made anew at each look."""

Command = OfUnit | GoOn | LeaveOutStalest | LoadBodies | Start | FormRegion | Drop | Stop

Answer = (
    BodiesLoaded
    | Begun
    | FiringEnded
    | FiringLeftOut
    | SomeResults
    | MetricsSet
    | SavedState
    | RegionRan
    | RegionSkipped
)
