"""Firings as spans of OpenTelemetry, linked along arcs; sans-I/O and bounded.

A span is a firing whose body ran. Its parent is the firing that sent the token on its first port; the senders of its
other tokens are links. A stream's firing begins a trace, so no trace goes on for ever. The records of a token's two
ends come from two ensembles, in any order. A firing waits for its senders for a while, and then goes without.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ticktalk.durations import NANOSECONDS
from ticktalk.explain.history import Key, NotedFiring
from ticktalk.explain.running_history import Following
from ticktalk.graph.graph import TTGraph
from ticktalk.recording.setup import Setup
from ticktalk.records import Records, count_of, each_of

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


_Token = tuple[int, Key]
"""A token among those of all contexts."""


@dataclass
class _Waiting:
    context: _Context
    firing: NotedFiring
    since: float
    number: int
    lacks: set[_Token] = field(default_factory=set)  # the tokens whose senders have no span yet
    made: bool = False


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
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()  # by number, the oldest first
        self._awaited: dict[_Token, dict[int, _Waiting]] = {}  # by token, the firings that wait for its sender
        self._came = 0
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
        looked_at: list[_Waiting] = []
        if context is None:
            self.unknown[batch.graph] += count_of(batch.records)
        else:
            self._contexts.move_to_end(place)
            ran = context.following.take(batch.ensemble, each_of(batch.records))
            for number, firing in enumerate(ran, self._came):
                looked_at.append(_Waiting(context, firing, now, number))
            self._came += len(ran)
            for token in context.following.passed:  # that of another one was awaited in its place
                looked_at += self._no_more_awaited((context.setup.context, token))
        return self._made(looked_at) + self.ready(now)

    def ready(self, now: float = float("inf")) -> list[ReadableSpan]:
        """The spans of firings that have waited for long for their senders; by default, of all that wait."""
        made: list[ReadableSpan] = []
        while self._waiting:
            first = next(iter(self._waiting.values()))
            if len(self._waiting) <= WAITING and now - first.since < HOLD:
                break
            made += self._made([first], at_once=True)
        return made

    def _made(self, looked_at: list[_Waiting], at_once: bool = False) -> list[ReadableSpan]:
        """The spans of these firings, and of those that waited for them; the others wait, unless `at_once`."""
        made: list[ReadableSpan] = []
        looks = deque(looked_at)
        while looks:
            each = looks.popleft()
            if each.made:
                continue  # two of its senders have been made known at once
            tokens = self._senders(each)
            lacks = {token for token in tokens if token not in self._spans}
            if lacks and not at_once:
                self._wait(each, lacks)
                continue
            self._forget(each)
            made.append(self._span(each, [self._spans[token] for token in tokens if token in self._spans]))
            for token in each.firing.sent:
                looks += self._no_more_awaited((each.context.setup.context, token))
            at_once = False
        return made

    def _senders(self, waiting: _Waiting) -> list[_Token]:
        """The tokens that a firing took, as their bodies sent them."""
        context = waiting.context
        keys = [came.key for came in waiting.firing.took if came.key[0]]
        return [(context.setup.context, context.following.origin(key)) for key in keys]

    def _wait(self, each: _Waiting, lacks: set[_Token]) -> None:
        self._waiting.setdefault(each.number, each)
        for token in lacks - each.lacks:
            self._awaited.setdefault(token, {})[each.number] = each
        each.lacks |= lacks

    def _forget(self, each: _Waiting) -> None:
        """A firing waits no more."""
        each.made = True
        self._waiting.pop(each.number, None)
        for token in each.lacks:
            waits = self._awaited[token]
            del waits[each.number]
            if not waits:
                del self._awaited[token]

    def _no_more_awaited(self, token: _Token) -> list[_Waiting]:
        """The firings that waited for the sender of a token."""
        found = [*self._awaited.pop(token, {}).values()]
        for each in found:
            each.lacks.discard(token)
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
                "ticktalk.graph": setup.title,
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
