"""A recorded run under other circumstances: the recorded streams drive a simulation.

A stream sends in the simulation what it sent in the recording, when it did. All else is simulated anew: where SQs live,
what links and bodies take, what fails, and which version of the program runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, NamedTuple

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.base import Fire
from ticktalk.engine.firing_chain import Elsewhere
from ticktalk.graph.graph import TTGraph
from ticktalk.payloads import FiringError
from ticktalk.records import AnyRecord, Decided, Fired, Received, Sent
from ticktalk.time import Tick
from ticktalk.values.codec import Parts, decode_value


class _Result(NamedTuple):
    """The result of a stream for one instant: its interval, when it was sent, and the instant."""

    start: Tick
    stop: Tick
    tick: int
    values: dict[tuple[int, ...], bytes]  # by path of the result
    instant: Tick


def _instant(start: Tick, stop: Tick) -> Tick:
    return start + (stop - start) // 2


class RecordedStreams:
    """The recorded results of streams, as a stage of a simulation ("recorded").

    Args:
        graph: the graph that runs now.
        records: of the recorded start.
        streams: the SQs whose results are taken from the recording; of a stream whose grid is another one now, for how
            many ticks a result serves later instants: its period in the recording. Else 0.
        agenda: of the simulation.
    """

    def __init__(
        self, graph: TTGraph, records: Iterable[tuple[str, AnyRecord]], streams: Mapping[str, int], agenda: Agenda
    ) -> None:
        self._agenda, self._serves = agenda, streams
        self._results: dict[str, list[_Result]] = {name: [] for name in streams}
        arcs = {
            f"{sq.name}/{index}": arc.path
            for sq in graph.sqs
            for index, arc in enumerate(sq.arcs)
            if arc.kind == "value" and sq.name in streams
        }
        decided: dict[str, list[Tick]] = {name: [] for name in streams}  # instants whose bodies have not ended
        for _, record in records:
            if isinstance(record, Sent) and record.arc in arcs and record.value:
                results, own = self._results[record.sq], decided[record.sq]
                if not results or (results[-1].start, results[-1].stop) != (record.start, record.stop):
                    instant = own[0] if own else _instant(record.start, record.stop)
                    results.append(_Result(record.start, record.stop, record.tick, {}, instant))
                results[-1].values[tuple(arcs[record.arc])] = record.value
            elif isinstance(record, Decided) and record.sq in decided:
                decided[record.sq].append(_instant(record.start, record.stop))
            elif isinstance(record, Fired) and record.sq in decided:
                own, instant = decided[record.sq], _instant(record.start, record.stop)
                del own[: own.index(instant) + 1 if instant in own else 0]  # those before it did not run
        self._instants = {name: [result.instant for result in found] for name, found in self._results.items()}

    def stage(self, context: ContextParts, own: Elsewhere) -> _Stage | None:
        """The stage of an SQ (`MakeStage`); None: it is simulated."""
        return _Stage(self, own) if own.sq.name in self._results else None

    def send(self, own: Elsewhere, start: Tick, stop: Tick, now: int) -> None:
        """Send what a stream sent for an instant, or what it sent last before, on its interval now."""
        name, instant = own.sq.name, _instant(start, stop)
        place = bisect_right(self._instants[name], instant) - 1
        if place < 0:
            return
        result, after = self._results[name][place], instant - self._instants[name][place]
        if after and after >= self._serves[name]:
            return  # it sent nothing for that instant
        if own.sq.stamp == "body":  # when its body ran is recorded
            start, stop = result.start + after, result.stop + after
        parts = Parts({path: decode_value(data) for path, data in result.values.items()})
        if not after and result.tick > now:
            self._agenda.deliver_at(result.tick, own.send, parts, start, stop)
        else:
            own.send(parts, start, stop)


class _Stage:
    """Stands before the body of a stream, which does not run."""

    def __init__(self, streams: RecordedStreams, own: Elsewhere) -> None:
        self._streams, self._own = streams, own
        self.body: Fire

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        self._streams.send(self._own, start, stop, now)

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        """The body does not run."""

    def report(self, error: FiringError) -> None:
        """The body does not run."""


def usual_delay(records: Iterable[tuple[str, AnyRecord]]) -> int:
    """The ticks that a token between two ensembles took in the recording: the median."""
    sent: dict[tuple[str, int], int] = {}
    taken = []
    for _, record in records:
        if isinstance(record, Sent):
            sent[record.arc, record.number] = record.tick
        elif isinstance(record, Received) and record.remote and (record.arc, record.token) in sent:
            taken.append(record.tick - sent[record.arc, record.token])
    return max(0, int(median(taken))) if taken else 0
