"""The manager's rules ask this of the driver that hosts them: the clock, timers, and the connected ensembles.

Each driver overrides the methods that it knows better. The base class serves a process without a driver, as in tests.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from typing import Any, Literal, NamedTuple

from ticktalk.heartbeats import ControlState
from ticktalk.manager.events import Event
from ticktalk.manager.state import ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import IdleReport, StartContext
from ticktalk.records import TookOver

Send = Callable[[str, enum.Enum, Any], None]
"""`(ensemble, kind, payload)`: sends a control message to the process of an ensemble that it is for."""

Tell = Callable[[Event], None]
"""Tells the watchers of an event."""


class Usage(NamedTuple):
    """The use of what there is a limited amount of.

    Attributes:
        what: an ensemble's cores, the bandwidth of a link in one direction, or all bodies on a real ensemble together.
        name: the ensemble; of a link, both of them.
        cores: how many there are.
        used: the share of the time for which they, or the link, have worked.
        behind: microseconds for which the first of what waits there has waited, or that a link needs for what waits.
        waits: the SQ of which the most firings wait; empty: none do.
        overloaded_since: the root tick since which more came than could be done; None: it keeps up.
    """

    what: Literal["cores", "link", "bodies"]
    name: str
    cores: int
    used: float
    behind: int
    waits: str
    overloaded_since: int | None


class Driver:
    """The driver of one manager; ticks are those of the root clock.

    Attributes:
        rows_kept: outputs of each graph that are kept as JSON lines for late requesters.
        patience: ticks in which an ensemble has to prepare a graph; 0: any number.
        records: what happens in contexts that start from now on is recorded.
        recording: the file to which they are recorded; "": none that is known.
        keeps_state: what the manager knows is written, and what it does to others waits for that.
        known: what the manager before this one knew; None: there was none.
        one_table: all ensembles read the routing table of the manager's own, so the others are told nothing of it.
    """

    rows_kept = 0
    patience = 0
    records = False
    recording = ""
    one_table = False
    keeps_state = False
    known: ManagerState | None = None

    def now(self) -> int:
        """The present tick."""
        return 0

    def heard_until(self) -> int:
        """The tick up to which all that came has been taken: a manager that is behind has not heard the rest yet."""
        return self.now()

    def start_tick(self) -> int:
        """The tick at which a context begins that is started now."""
        return self.now()

    def checkpoint_period(self) -> int:
        """Ticks between two checkpoints of the instances of a context that is started now; 0: none."""
        return 0

    def cannot_move(self) -> str | None:
        """The reason why SQs cannot move here; None when they can."""
        return None

    def after(self, ticks: int, act: Callable[[], None]) -> None:
        """Call `act` so much later."""

    def kept(self) -> dict[str, str] | None:
        """The `folder` in which what it knows is kept, and the `failure`, why nothing is written now; or None."""
        return None

    def when_written(self, act: Callable[[], None]) -> None:
        """Call `act` when all that the manager knows now is written, if it is."""
        act()

    def connected(self) -> Collection[str]:
        """The ids of the network sessions that are connected now."""
        return ()

    def if_ended(self, ensemble: EnsembleInfo, act: Callable[[str], None]) -> None:
        """Find out whether the process of an ensemble that is not heard has ended; call `act` if so.

        `act` gets the address where connections are refused, if that says so; "": it is known without.
        """

    def heartbeat(self, ensemble: str, control: ControlState) -> ControlState:
        """A heartbeat of an ensemble has come: how control messages stand there; how they stand here."""
        return ControlState()

    def hears(self, ensemble: str) -> bool:
        """True if messages of an ensemble get through now. Where this cannot be seen, it sends heartbeats."""
        return False

    def reports(self, graph: str, context: int) -> list[IdleReport] | None:
        """The reports of a context on every ensemble, where they can be seen; None: ensembles send them when asked."""
        return None

    def loads(self) -> list[Usage]:
        """The use of cores and links, where it is known."""
        return []

    def refused(self) -> dict[str, int]:
        """By kind, how much came to the manager and was not taken."""
        return {}

    def started(self, start: StartContext) -> None:
        """A context was started."""

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""

    def ended(self, context: int) -> None:
        """A context has ended."""

    def shut_down(self) -> None:
        """A requester wants the system to end."""
