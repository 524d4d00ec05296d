"""Two runs compared: the outputs of a recorded run, and those of the same under other circumstances (`what_if`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median

import msgspec

from ticktalk.graph.graph import TTGraph
from ticktalk.recording.departures import same_value, shown
from ticktalk.records import AnyRecord, Counted, Sent
from ticktalk.time import Tick

PLAN_B, LATE = "plan_b", "late"
COUNTED = (PLAN_B, "missed", LATE, "evicted", "lost", "errors", "skipped")
"""The counters that are compared."""


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


class ComparedOutput(msgspec.Struct, frozen=True):
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

    outputs: list[ComparedOutput]
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
    """The fate of a token: "same", "changed", "gone" or "new"."""
    was, now = pair
    if was is None or now is None:
        return "gone" if now is None else "new"
    return "same" if same_value(was.value, now.value) else "changed"


def _output(name: str, pairs: list[Pair]) -> ComparedOutput:
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
    return ComparedOutput(name, recorded, same, changed, gone, new, spread, differences[:KEPT])
