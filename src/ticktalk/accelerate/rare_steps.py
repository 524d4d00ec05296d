"""Makes functions of the code of traces.

The code is given their rare steps: a value that could be changed, an output, the run of a body that takes time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ticktalk.accelerate.bind import ALWAYS, GONE, IN_PLAN, function_of
from ticktalk.accelerate.events import (
    Leg,
    Links,
    Opened,
    Part,
    PlanEvent,
    Result,
    TakesTime,
    Unchanging,
    told_at_once,
    wires_of,
)
from ticktalk.accelerate.loop_code import loop_code
from ticktalk.accelerate.noted import as_it_is
from ticktalk.accelerate.standing import at
from ticktalk.accelerate.trace import Trace
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.forwarding import unpacked
from ticktalk.engine.this_firing import telling
from ticktalk.graph.constants import decode_constant
from ticktalk.time import TTEmpty
from ticktalk.values.codec import PLAIN, Parts, encode_value, handed_on, plain

LEAVE = object()
"""Stands in the generated code for the results of a firing of which somebody is to be told."""


def bind(trace: Trace, links: Links, agenda: Agenda) -> None:
    """Write the code of a trace, and make it a function."""
    code, plan = loop_code(trace), trace.plan
    names = ALWAYS | {"silent": plan.silent, "leave": LEAVE, "trace": trace, "where": trace.where}
    names |= {"length": trace.length, "keep": trace.kept.append} | trace.inline.names
    for part in trace.parts:
        execute = part.context.executes.get(part.sq.name)
        if execute is None:
            continue
        names |= {f"f{part.index}": execute.body, f"arrange{part.index}": execute.arrange}
        for port, kind in enumerate(part.sq.ports):
            if kind.constant is not None:
                names[f"a{part.index}_{port}"] = decode_constant(kind.constant[0])
    names |= _rare_steps(trace, links, agenda)
    trace.code, trace.run = code, function_of(code.text, names, own=not plan.apart, bodies=code.bodies)


def _rare_steps(trace: Trace, links: Links, agenda: Agenda) -> dict[str, Any]:
    """The names of rare steps in the code of a trace, and their meanings."""
    acts: dict[str, Any] = {}
    for place, event in enumerate(trace.events[trace.first :], trace.first):
        if event.runs and event.part.sq.told:
            acts[f"ask{place}"] = _asker(trace, event)
        if event.kind == "tell":
            acts[f"tell{place}"] = _teller(trace, event, links, agenda)
        elif event.kind == "run" and event.part.stage is not None:
            acts[f"hand{place}"] = _hold(event.part.stage)
        elif event.results is not None:
            acts[f"run{place}"] = _on_tokens(trace, event, event.results)
            wires = enumerate(event.results)
            acts |= {f"k{place}_{wire}": result.of.value for wire, result in wires if isinstance(result.of, Unchanging)}
        elif told_at_once(event) or wires_of(event):
            acts[f"hand{place}"] = _hand(trace, event, links, agenda)
    return acts


def _teller(trace: Trace, event: PlanEvent, links: Links, agenda: Agenda) -> Callable[[Any, int], bool]:
    """Tells the manager of an output that reaches it, or says that this has to be on the general engine."""
    begin, part = trace.plan.begin, event.part

    def tell(value: Any, base: int) -> bool:
        if links.listened():
            return True
        running.current = None
        agenda.now = base + event.tick - begin
        start, stop = at(base - begin, event.start, event.stop)
        links.tell(part.context, Opened(part.context_key, part.forward.sq.name, "", "", value, start, stop))
        running.current = IN_PLAN
        return False

    return tell


def _asker(trace: Trace, event: PlanEvent) -> Callable[[int], None]:
    """Sets what the body of an event is told of its firing."""
    begin, sq = trace.plan.begin, event.part.sq
    tell = telling(lambda start, stop, values, now: None, sq, event.part.context.executes[sq.name])

    def ask(base: int) -> None:
        start, stop = at(base - begin, event.start, event.stop)
        tell(start, stop, (), base + event.tick - begin)

    return ask


def _on_tokens(trace: Trace, event: PlanEvent, results: list[Result]) -> Callable[..., Any]:
    """Runs what works on tokens; gives a tuple, or a list of results if they are not as planned."""
    execute, begin, now = event.part.context.executes[event.part.sq.name], trace.plan.begin, event.tick
    planned = [(result.start, result.stop) for result in results]
    gone = (GONE,) * len(results)
    may_lack = bool(results) and all(id(result.value) in trace.optional for result in results)

    def run(base: int, *values: Any) -> Any:
        shift = base - begin
        inputs = zip(event.intervals, values, strict=True)
        tokens = tuple([(start + shift, stop + shift, value) for (start, stop), value in inputs])
        running.current, found = None, []
        try:
            for result in execute.results(tokens, now + shift):
                found.append(result)
        except BaseException:
            trace.partial = found
            raise
        running.current = IN_PLAN
        if [(start - shift, stop - shift) for _, start, stop in found] == planned:
            return tuple([value for value, _, _ in found])
        return gone if may_lack and not found else found

    return run


def _hand(trace: Trace, event: PlanEvent, links: Links, agenda: Agenda) -> Callable[[Any, int], Any]:
    """Hands on a result: copies for its receivers; tells the manager of an output. The note of it comes last."""
    forward, begin, recorded = event.part.forward, trace.plan.begin, trace.notes is not None
    ways = [(leg, wires) for leg, wires in zip(event.part.legs, event.wires, strict=True) if not leg.tag]
    tells = [leg.way for leg, _ in ways if leg.told_at_once]

    def hand(result: Any, base: int) -> Any:
        if tells and links.listened():
            return LEAVE
        running.current = None
        if result.__class__ is Parts:
            parts = result.by_path
        else:
            parts = unpacked(plain(result) if forward.unpack else result, forward.unpack)
        made: list[Any] = []
        noted: dict[str, Any] = {}
        for leg, wires in ways:
            part = parts[leg.way.path]
            if part.__class__ is not TTEmpty:
                if recorded and leg.way.name not in noted:
                    noted[leg.way.name] = as_it_is(part)
                made += _copies(event.part, leg, part)
            elif not recorded and all(id(value) in trace.optional for value in wires):
                made += [GONE] * len(wires)
            else:
                return LEAVE
        for way in tells:
            if parts[way.path].__class__ is not TTEmpty:
                agenda.now = base + event.tick - begin
                start, stop = at(base - begin, event.start, event.stop)
                forward.output(forward.sq.name, parts[way.path], start, stop)
        running.current = IN_PLAN
        if recorded:
            made.append(noted if told_at_once(event) else next(iter(noted.values())))
        return made

    return hand


def _copies(part: Part, leg: Leg, value: Any) -> list[Any]:
    """`value` as each receiver of a leg gets it; an output that is told at once has none."""
    if leg.told_at_once:
        return []
    if value.__class__ in PLAIN:
        return [value] * leg.receivers
    if not leg.host and not leg.output:
        return [handed_on(value) for _ in leg.to]
    data = encode_value(value)
    if leg.output:
        return [part.context.prepared.code.decode(data)]
    crossed = leg.to[0][0].context.prepared.code.decode(data)
    return [crossed] if len(leg.to) == 1 else [handed_on(crossed) for _ in leg.to]


def _hold(stage: TakesTime) -> Callable[[Any, int], Any]:
    """Copies what is wanted of the result of a run, until that ends."""
    whole = stage.elsewhere.unpack is None

    def hold(result: Any, base: int) -> Any:
        running.current = None
        kept = stage.kept(result)
        running.current = IN_PLAN
        return [kept.by_path[()] if whole else kept]

    return hold
