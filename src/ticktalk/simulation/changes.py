"""Changes of simulated ensembles and links that are no faults: nobody has to notice them, nothing moves for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Protocol

from ticktalk.graph.graph import TTGraph
from ticktalk.manager.events import ClockChanged, CostChanged, Event, LinkChanged
from ticktalk.processes import TTRuntimeManagerProcess
from ticktalk.simulation.driver import Simulation
from ticktalk.simulation.event_file import CHANGES, FileEvent


class SimulatedManager(Protocol):
    """A simulated manager's handle (`TTRuntimeManagerSim`), as far as faults need it."""

    name: str
    simulation: Simulation
    process: TTRuntimeManagerProcess

    def replace_graph(self, graph: TTGraph, *, name: str, drop_state: Iterable[str], watch: int) -> object:
        """Replace a graph by another version of it."""

    def start_ensemble(self, name: str, components: Mapping[str, Any]) -> None:
        """Make an ensemble with these components, and let it join."""


def schedule(event: FileEvent, simulation: Simulation, start: int, happen: Callable[[FileEvent], None]) -> None:
    """Let an event happen before anything else of its tick; a change at the start holds before anything starts.

    Args:
        event: a change or a fault.
        simulation: where.
        start: the root tick from which its time counts.
        happen: lets it happen: of `SystemChanges` or `Faults`.
    """
    if event.at or event.kind not in CHANGES:
        simulation.agenda.deliver_at(start + event.at, happen, event)
    else:
        happen(event)


class SystemChanges:
    """The changes of one simulation.

    Clocks that will change are wrong from the start (`Simulation.clock_of`), if only by nothing.

    Args:
        manager: whose ensembles are meant.
    """

    def __init__(self, manager: SimulatedManager) -> None:
        self._manager = manager
        self._simulation = manager.simulation

    def happen(self, event: FileEvent) -> None:
        """Let a change happen now."""
        if event.kind == "clock":
            self.set_clock(event.ensembles[0], *event.clock, seen=event.at > 0)
        elif event.kind == "link":
            one, other = event.ensembles
            self.change_link(one, other, event.link)
        else:
            self.set_time(event.function, event.time)

    def set_time(self, function: str, time: int) -> None:
        """Runs of a function that begin from now on take so many microseconds on the reference."""
        self.tell(CostChanged(function, time))
        assert self._simulation.timing is not None
        self._simulation.timing.set_time(function, time)

    def change_link(self, one: str, other: str, changed: Mapping[str, Any]) -> None:
        """Some fields of the link between two ensembles (`LinkSpec`) are others from now on."""
        timing = self._simulation.timing
        assert timing is not None
        link = timing.deployment.link(one, other)._replace(**changed)
        self.tell(LinkChanged(one, other, link.latency))
        timing.change(one, other, link)

    def set_clock(self, name: str, step: int, drift: Fraction | None, seen: bool = True) -> None:
        """The clock of an ensemble jumps, and drifts from now on."""
        clock = self._simulation.clock_of(name)
        drift = clock.drift if drift is None else drift
        self.tell(ClockChanged(name, step, float(drift)))
        clock.set(self._simulation.now(), step, drift, seen)

    def tell(self, event: Event) -> None:
        """Tell the manager's listeners."""
        # A process of the user lets it happen: the agenda may stand where something was due last.
        self._simulation.agenda.now = self._simulation.now()
        self._manager.process.requests.tell(event)
