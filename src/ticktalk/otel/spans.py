"""Firings as spans of OpenTelemetry, linked along arcs; sans-I/O and bounded.

A span is a firing whose body ran. Its parent is the firing that sent the token on its first port; the senders of its
other tokens are links. A stream's firing begins a trace, so no trace goes on for ever. The records of a token's two
ends come from two ensembles, in any order. A firing waits for its senders for a while, and then goes without.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ticktalk.explain.following import Following
from ticktalk.explain.history import Key, Origin
from ticktalk.graph.graph import TTGraph
from ticktalk.recording.setup import Setup
from ticktalk.records import Records, count_of, each_of

NANOSECONDS = 1000
"""Of a root tick."""

HOLD = 2.0
"""Seconds for which a firing waits for those that sent its tokens."""

WAITING = 20_000
"""Firings that wait at most; the oldest goes without its senders."""

KNOWN = 50_000
"""Tokens whose spans are known; the latest."""

CONTEXTS = 100
"""Starts that are known; those of which records came last."""

DATES = 946_684_800_000_000
"""The root tick of the year 2000: a run that starts before has no date, as most simulations."""

SCOPE = InstrumentationScope("ticktalk")

_sampled = TraceFlags(TraceFlags.SAMPLED)


@dataclass
class _Context:
    setup: Setup
    following: Following
    sources: frozenset[str]
    shift: int  # root ticks from the run's time to that of its spans


@dataclass
class _Waiting:
    context: _Context
    firing: Origin
    since: float


class Spans:
    """Makes spans of records.

    Attributes:
        unknown: by graph, how many records came of starts that are known no more.
    """

    def __init__(self) -> None:
        self.unknown: Counter[str] = Counter()
        self._ids = RandomIdGenerator()
        self._contexts: OrderedDict[tuple[str, int], _Context] = OrderedDict()
        self._spans: OrderedDict[tuple[int, Key], SpanContext] = OrderedDict()  # by context and token
        self._waiting: deque[_Waiting] = deque()
        self._resources: dict[str, Resource] = {}

    def begin(self, setup: Setup, now: int) -> None:
        """A context starts; `now`: the present, in microseconds since 1970."""
        graph = TTGraph.from_json(setup.graph.encode())
        sources = frozenset(sq.name for sq in graph.sqs if sq.trigger == "grid")
        shift = now - setup.start_tick if setup.start_tick < DATES else 0
        self._contexts[setup.name, setup.context] = _Context(setup, Following(graph), sources, shift)
        if len(self._contexts) > CONTEXTS:
            self._contexts.popitem(last=False)

    def take(self, batch: Records, now: float) -> list[ReadableSpan]:
        """Take records at a monotonic time (seconds); gives the spans that are ready."""
        place = batch.graph, batch.context
        context = self._contexts.get(place)
        if context is None:
            self.unknown[batch.graph] += count_of(batch.records)
        else:
            self._contexts.move_to_end(place)
            for firing in context.following.take(batch.ensemble, each_of(batch.records)):
                self._waiting.append(_Waiting(context, firing, now))
        return self.ready(now)

    def ready(self, now: float = float("inf")) -> list[ReadableSpan]:
        """The spans of firings whose senders are known, or that have waited for long; by default, of all."""
        made: list[ReadableSpan] = []
        before = -1
        while before != len(made):  # a span that was made may be the parent of one that waited before it
            before = len(made)
            waits, self._waiting = self._waiting, deque()
            crowd = len(waits) - WAITING
            for number, each in enumerate(waits):
                parents = self._parents(each)
                if None in parents and number >= crowd and now - each.since < HOLD:
                    self._waiting.append(each)
                else:
                    made.append(self._span(each, [parent for parent in parents if parent is not None]))
        return made

    def _parents(self, waiting: _Waiting) -> list[SpanContext | None]:
        """The spans that sent the tokens of a firing; None: one is not known, or not yet."""
        context, found = waiting.context, []
        for came in waiting.firing.took:
            if came.key[0]:
                found.append(self._spans.get((context.setup.context, context.following.origin(came.key))))
        return found

    def _span(self, waiting: _Waiting, parents: list[SpanContext]) -> ReadableSpan:
        context, firing = waiting.context, waiting.firing
        ran, setup = firing.ran, context.setup
        assert ran is not None
        parent = parents[0] if parents and firing.sq not in context.sources else None
        trace = self._ids.generate_trace_id() if parent is None else parent.trace_id
        own = SpanContext(trace, self._ids.generate_span_id(), is_remote=False, trace_flags=_sampled)
        for token in firing.sent:
            self._spans[setup.context, token] = own
        while len(self._spans) > KNOWN:
            self._spans.popitem(last=False)
        interval = {"start": firing.start, "stop": firing.stop}
        failed = ran.outcome == "failed"
        return ReadableSpan(
            firing.sq,
            own,
            parent,
            self.resource(firing.ensemble),
            {
                "ticktalk.graph": setup.name,
                "ticktalk.context": setup.context,
                "ticktalk.sq": firing.sq,
                "ticktalk.ensemble": firing.ensemble,
                "ticktalk.outcome": ran.outcome,
                **{f"ticktalk.interval.{end}": tick for end, tick in interval.items() if abs(tick) < float("inf")},
            },
            links=[Link(each) for each in {each.span_id: each for each in parents}.values() if each is not parent],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, "its body raised") if failed else Status(StatusCode.UNSET),
            start_time=(ran.began + context.shift) * NANOSECONDS,
            end_time=(max(ran.began, ran.ended) + context.shift) * NANOSECONDS,
            instrumentation_scope=SCOPE,
        )

    def resource(self, ensemble: str) -> Resource:
        """The resource of an ensemble."""
        if ensemble not in self._resources:
            service = OTELResourceDetector().detect().attributes.get("service.name") or "ticktalk"
            self._resources[ensemble] = Resource.create({"service.name": service, "service.instance.id": ensemble})
        return self._resources[ensemble]
