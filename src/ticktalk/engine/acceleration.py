"""The seam to an accelerator, which runs settled parts of a context faster than the general engine does.

The general engine (the rest of this folder) is the definition of what a program means, and needs no accelerator. One
that is given runs what is settled beforehand by code of its own, to the same results, and gives everything back to
the syncs whenever it is asked. One object serves all contexts of an agenda; in simulation and on devices alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.firing import TTSQSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.engine.prepared import PreparedGraph


class ContextParts(Protocol):
    """A context as an accelerator sees it: its SQs' parts by SQ name, and what they are wired to."""

    number: int
    closed: bool
    agenda: Agenda
    prepared: PreparedGraph
    syncs: dict[str, TTSQSync]
    executes: dict[str, TTSQExecute]
    forwards: dict[str, TTSQForward]

    @property
    def incoming(self) -> Mapping[str, Collection[tuple[TTSQSync, int]]]:
        """By arc of another ensemble, the ports here that its tokens go to."""

    @property
    def waiting_to_fire(self) -> Collection[str]:
        """The SQs that take no turns at present."""


class Accelerated(Protocol):
    """SQs of a context that run together, for as long as nobody needs them one by one."""

    def flush(self) -> None:
        """Bring to the syncs and executes what they would know by now."""

    def retire(self) -> None:
        """Give everything back to the general engine, for good."""

    def close(self) -> None:
        """End it: its context has ended."""


class Accelerator(Protocol):
    """What a context may be given; without one everything runs, slower."""

    def form(self, parts: ContextParts) -> Iterable[Accelerated]:
        """Look which SQs of a context can run together, as they are placed and set now, and let them."""
