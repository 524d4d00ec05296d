"""The seam to an accelerator, which runs settled parts of a context faster than the general engine does.

The general engine (the rest of this folder) defines what a program means, and needs no accelerator. An accelerator runs
the firings that are settled beforehand by code of its own, to the same results. It gives them back to the syncs
whenever the context asks. One object serves all contexts of an agenda, in simulation and on devices alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.engine.tap import Tap
from ticktalk.time import Tick


class ContextParts(Protocol):
    """A context as an accelerator sees it: its SQs' parts by SQ name, and their wires."""

    number: int
    closed: bool
    agenda: Agenda
    prepared: PreparedGraph
    counters: Counters
    syncs: dict[str, TTSQSync]
    executes: dict[str, TTSQExecute]
    forwards: dict[str, TTSQForward]
    tap: Tap | None

    @property
    def incoming(self) -> Mapping[str, Collection[tuple[TTSQSync, int]]]:
        """By arc of another ensemble, the ports here that its tokens go to."""

    def arrive(self, arc: str, value: Any, start: Tick, stop: Tick, without: Collection[str] = ()) -> None:
        """Take a token from another ensemble."""

    def stages_of(self, name: str) -> tuple[str, ...]:
        """The stages that the firings of an SQ pass."""

    @property
    def one_by_one(self) -> Collection[str]:
        """The SQs that stay with the general engine at present."""


class Accelerated(Protocol):
    """SQs of a context that run together, until they are needed one by one."""

    def flush(self) -> None:
        """Bring the syncs and executes up to date."""

    def retire(self) -> None:
        """Give everything back to the general engine, for good."""

    def close(self) -> None:
        """End it: its context has ended."""


class Accelerator(Protocol):
    """An accelerator. A context without one runs everything, but slower."""

    def form(self, parts: ContextParts) -> Iterable[Accelerated]:
        """Look which SQs of a context can run together, as they are placed and set now, and let them.

        It may leave any SQ to the general engine.
        """
