"""Recording a simulation: the taps of all its ensembles write into one file."""

from __future__ import annotations

import time
from functools import partial

from ticktalk.engine.tap import Tap
from ticktalk.hosted.tapping import Tapped
from ticktalk.payloads import StartContext
from ticktalk.recording.recorder import FLUSH
from ticktalk.recording.setup import setup_of
from ticktalk.recording.writer import Writer
from ticktalk.records import Noted, Records, Repeated, count_of
from ticktalk.runtime_manager import TTRuntimeManagerSim

BATCH = 1000
"""Records of an ensemble that are written together."""


class RecordedSimulation:
    """Records every context that starts from now on.

    Args:
        manager: of the simulation.
        writer: takes it.
        options: what was asked for in the run, by option.
    """

    def __init__(self, manager: TTRuntimeManagerSim, writer: Writer, options: dict[str, str]) -> None:
        self._manager, self._writer, self._options = manager, writer, options
        self._begun: set[int] = set()
        self._waiting: dict[tuple[str, int, str], list[Noted]] = {}  # by graph, context and ensemble
        self._flushed = time.monotonic()
        self._written: dict[tuple[str, int, str], int] = {}
        manager.simulation.tap, manager.simulation.took_over = self._tap, writer.took_over

    def _tap(self, ensemble: str, start: StartContext) -> Tap:
        simulation = self._manager.simulation
        if start.context not in self._begun:
            self._begun.add(start.context)
            state = self._manager.process.state.graphs[start.graph]
            bound = self._manager.ensemble.host.eviction_bound if self._manager.ensemble.host is not None else 0
            new = state.state == "waiting"
            self._writer.begin(setup_of(start, state.graph, state.host_of, "simulation", bound, self._options, new))
        place = start.graph, start.context, ensemble
        self._waiting.setdefault(place, [])
        return Tapped(partial(self._note, place), simulation.now, repeats=True)

    def _note(self, place: tuple[str, int, str], record: Noted) -> None:
        waiting = self._waiting[place]
        waiting.append(record)
        if len(waiting) >= BATCH or isinstance(record, Repeated):
            self._write(place)

    def _write(self, place: tuple[str, int, str]) -> None:
        records = self._waiting[place]
        first = self._written.get(place, 0)
        self._writer.add(Records(*place, first, 0, records))
        if time.monotonic() - self._flushed > FLUSH:
            self._writer.flush()
            self._flushed = time.monotonic()
        self._written[place] = first + count_of(records)
        self._waiting[place] = []

    def finish(self) -> list[str]:
        """End the file; gives what it lacks, as sentences."""
        for place in self._waiting:
            self._write(place)
        return self._writer.finish()
