"""A recorded run under other circumstances: the recorded streams drive a simulation, and its outputs are compared.

A stream sends in the simulation what it sent in the recording, when it did. All else is simulated anew: where SQs live,
what links and bodies take, what fails, and which version of the program runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, NamedTuple

import msgspec

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.base import Fire
from ticktalk.engine.firing_chain import Elsewhere
from ticktalk.graph.graph import TTGraph
from ticktalk.payloads import FiringError
from ticktalk.recording.departures import same_value, shown
from ticktalk.records import AnyRecord, Counted, Decided, Fired, Received, Sent
from ticktalk.time import Tick
from ticktalk.values.codec import Parts, decode_value

PLAN_B, LATE = "plan_b", "late"
COUNTED = (PLAN_B, "missed", LATE, "evicted", "lost", "errors", "skipped")
"""The counters that are compared."""


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


class Difference(msgspec.Struct, frozen=True):
    """One output token that is otherwise.

    Attributes:
        how: "changed", "gone" or "new".
        tick: when it was sent, in the recording; of a new one: now.
        was, now: the token as text; "": there is none.
    """

    how: str
    tick: int
    was: str
    now: str


class Output(msgspec.Struct, frozen=True):
    """One output, recorded and now.

    Attributes:
        name: the SQ that sends it.
        recorded, same, changed, gone, new: tokens.
        later: ticks by which tokens are sent later than in the recording: median and worst (below 0: earlier).
        differences: the first of them.
    """

    name: str
    recorded: int
    same: int
    changed: int
    gone: int
    new: int
    later: tuple[int, int]
    differences: list[Difference]

    @property
    def is_same(self) -> bool:
        """True if each token is there, with its value."""
        return not (self.changed or self.gone or self.new)


class Comparison(msgspec.Struct, frozen=True):
    """A recorded run, and the same under other circumstances.

    Attributes:
        outputs: each.
        counters: by kind, how many there were in the recording, and how many there are now; those that differ.
    """

    outputs: list[Output]
    counters: dict[str, tuple[int, int]]


KEPT = 100
"""Differences of an output that are kept."""


Pair = tuple[Sent | None, Sent | None]
"""A token in the recording, and the one on the same interval now; None: there is none."""


def compared(
    former: TTGraph,
    recorded: Iterable[AnyRecord],
    graph: TTGraph,
    now: Iterable[AnyRecord],
    until: Tick,
    pairs: dict[str, list[Pair]] | None = None,
) -> Comparison:
    """Compare the outputs and counters of two runs, each of its own graph, up to a root tick.

    Args:
        former, recorded: the graph of the recording, and its records.
        graph, now: the same of the other run.
        until: the tick.
        pairs: gets the tokens of each output; None: they are not wanted.
    """
    was, counted = _of_run(former, recorded, until)
    there, counts = _of_run(graph, now, until)
    by_name = {name: _paired(was.get(name, []), there.get(name, [])) for name in [*was, *there]}
    if pairs is not None:
        pairs.update(by_name)
    kinds = [kind for kind in COUNTED if counted[kind] != counts[kind]]
    return Comparison(
        [_output(name, found) for name, found in by_name.items()],
        {kind: (counted[kind], counts[kind]) for kind in kinds},
    )


def _of_run(graph: TTGraph, records: Iterable[AnyRecord], until: Tick) -> tuple[dict[str, list[Sent]], Counter[str]]:
    arcs = {f"{sq.name}/{index}" for sq in graph.sqs for index, arc in enumerate(sq.arcs) if arc.output}
    tokens: dict[str, list[Sent]] = {}
    counts: Counter[str] = Counter()
    for record in records:
        if isinstance(record, Sent) and record.arc in arcs and record.tick < until:
            tokens.setdefault(record.sq, []).append(record)
        elif isinstance(record, Counted) and record.tick < until:
            counts[record.kind] += record.count
    return tokens, counts


def _paired(was: list[Sent], there: list[Sent]) -> list[Pair]:
    waiting: dict[tuple[Tick, Tick], list[Sent]] = {}
    for token in there:
        waiting.setdefault((token.start, token.stop), []).append(token)
    found: list[Pair] = []
    for token in was:
        partners = waiting.get((token.start, token.stop))
        found.append((token, partners.pop(0) if partners else None))
    return found + [(None, token) for partners in waiting.values() for token in partners]


def kind_of(pair: Pair) -> str:
    """What became of a token: "same", "changed", "gone" or "new"."""
    was, now = pair
    if was is None or now is None:
        return "gone" if now is None else "new"
    return "same" if same_value(was.value, now.value) else "changed"


def _output(name: str, pairs: list[Pair]) -> Output:
    counts: Counter[str] = Counter()
    later: list[int] = []
    differences: list[Difference] = []
    for was, now in pairs:
        kind = kind_of((was, now))
        counts[kind] += 1
        if was is not None and now is not None:
            later.append(now.tick - was.tick)
        if kind != "same":
            tick = was.tick if was is not None else now.tick if now is not None else 0
            texts = ["" if token is None else shown(token) for token in (was, now)]
            differences.append(Difference(kind, tick, *texts))
    differences.sort(key=lambda difference: difference.tick)
    recorded = sum(was is not None for was, _ in pairs)
    spread = (int(median(later)) if later else 0, max(later, key=abs, default=0))
    same, changed, gone, new = (counts[kind] for kind in ("same", "changed", "gone", "new"))
    return Output(name, recorded, same, changed, gone, new, spread, differences[:KEPT])
