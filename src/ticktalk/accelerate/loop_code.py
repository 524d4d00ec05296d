"""Writes the code of a plan: a loop over periods, whose body is the events of one period in order.

`v7` is the value that event 7 makes, `v7_1` that for its second receiver. `c2` is the third of the values that stand
there at the begin of a period: tokens under way or waiting, settled values. At the end of the period they get the
values that stand there then. `f3` is the body of SQ 3, `a3_1` the constant on its port 1.

Rare steps are calls: `hand7` copies a value that could be changed, one for each receiver, or until a run ends, and
tells the manager of an output; `run7` runs what works on tokens, unless it is known to give `k7_0`; `ask7` sets what
`firing()` gives in a body; `keep` takes, at the end of a period, the values of tokens that nobody can meet any more, or
all that is recorded: `n7` is what is recorded of what event 7 makes.

The function ends where an event is not as planned: its result is absent, somebody has to be told of an output, a body
raised. It gives the place of that event, the begin of that period, and all names. Where nobody's matching depends on a
result, absence needs no more than an `if`.
"""

from __future__ import annotations

import re

from ticktalk.accelerate.code import LoopCode, call_of
from ticktalk.accelerate.events import PlanEvent, StandIn, passes_on, told_at_once, wires_of
from ticktalk.accelerate.trace import Trace
from ticktalk.bodies.inlined import Inlined, arguments_of
from ticktalk.bodies.statements import Tails

KNOWN = re.compile(
    r"\b(?:(?:tell|ask|f|arrange|run|hand)\d+|[ak]\d+_\d+"
    r"|keep|silent|gone|nothing|empty|plain|type|int|float|leave)\b(?!=)"
)
"""The names in statements that are known when the function is made; no keywords, which are users' names."""


def loop_code(trace: Trace, say_which: bool = False) -> LoopCode:
    """The function of a trace, from its first event on; `say_which`: with comments that name the SQs.

    That of a part of several is a generator, which pauses after each tick; resumed with a true value, after each event
    of that tick. It ends its period at a tick of its own, if that is after those of the events.
    """
    plan, events, first = trace.plan, trace.events, trace.first
    turns, length = plan.apart, 0 if first else trace.length  # 0: the events run once, with `base` given
    bodies: list[Inlined] = []
    lines: list[tuple[str, int, bool]] = []
    depth = "            " if length else "        "
    end = [f"keep({name})" for name in trace.taken]
    carried = [(f"c{place}", value.text(plan.begin)) for place, value in enumerate(trace.ends)]
    changed = [(old, new) for old, new in carried if old != new]
    if changed:
        end.append(f"{', '.join(old for old, _ in changed)} = {', '.join(new for _, new in changed)}")
    at_end = [(depth + text, len(events), False) for text in end]
    for place, event in enumerate(events[first:], first):
        statements, body = _statements(trace, place, event)
        bodies += [] if body is None else [body]
        if say_which and statements:
            text, call = statements[0]
            line = f", line {event.part.sq.line}" if event.part.sq.line else ""
            statements[0] = f"{text}  # {event.part.sq.name}{line}", call
        lines += [(depth + text, place, call) for text, call in statements]
        if turns:
            last = place + 1 == len(events)
            same_tick = not last and events[place + 1].tick == event.tick
            pause = depth + ("if turn: yield" if same_tick else "turn = yield")
            if trace.tail or not last:
                lines.append((pause, paused(place + 1), False))
            if last:
                lines += [*at_end, (pause, paused(place + 2), False)]
    if not turns:
        lines += at_end
    parameters = ["begin", "end", *(old for old, _ in carried)]
    if first:
        made = {value.name for event in events[:first] for value in wires_of(event)}
        made |= {f"n{place}" for place in range(first)} & {name.partition("[")[0] for name in trace.taken}
        parameters += sorted(made)
    texts = [*(text for text, _, _ in lines), *(text for body in bodies for text in body.texts)]
    step = "length" if turns else str(length)  # parts of one shape have the same text
    known = dict.fromkeys(["trace", "where", *["length"] * turns, *KNOWN.findall("\n".join(texts))])
    before = f"    base = begin - {step}"  # so it has a value wherever it is interrupted
    stateful = sorted({body.part for body in bodies if body.simple.stateful})
    states = [(f"    s{part} = state{part}['sq_state']", -1) for part in stateful]
    head = [(f"def loop({', '.join([*parameters, *known])}):", -1), *states, (before, -1), ("    try:", -1)]
    if turns:
        head.append(("        turn = yield", paused(len(events) + 1)))
    if length:
        head.append((f"        for base in range(begin, end, {step}):", -1))
    if not lines:
        lines = [(depth + "pass", -1, False)]
    tail = ["    except BaseException as error:"]
    if turns:  # an end at a pause; a body may raise this error, too
        tail.append("        if type(error) is GeneratorExit and error.__traceback__.tb_next is None: return")
    tail.append("        return where(error), base, locals()")
    tail.append(f"    return -1, base, ({''.join(old + ', ' for old, _ in carried)})")
    rows = [*((text, place, False) for text, place in head), *lines, *((text, -1, False) for text in tail)]
    return LoopCode(
        "".join(text + "\n" for text, _, _ in rows),
        [-1, *(place for _, place, _ in rows)],
        {number for number, (_, _, call) in enumerate(rows, 1) if call},
        parameters,
        tuple(bodies),
    )


def paused(place: int) -> int:
    """The number of a pause before the event at `place` in `LoopCode.lines`; and back again.

    The end of a period counts as one more event.
    """
    return -3 - place


def _statements(trace: Trace, place: int, event: PlanEvent) -> tuple[list[tuple[str, bool]], Inlined | None]:
    """The statements of an event, with each, whether it calls a body; the body that stands there instead."""
    inputs = [value.text(trace.plan.begin) for value in event.inputs]
    body = None
    if event.kind == "tag":
        return [], None
    if event.kind == "tell":
        statements = [(f"if tell{place}({inputs[0]}, base): return {place}, base, locals()", False)]
    elif event.results is not None:
        statements = _on_tokens(trace, place, event, inputs)
    else:
        tails = _tails(trace, place, event)
        sq, index = event.part.sq, event.part.index
        arcs = [port for port, kind in enumerate(sq.ports) if kind.constant is None]
        given = dict(zip(arcs, inputs, strict=True)) if event.runs and not sq.singly else {}
        of = trace.inline.of.get(place)
        if of is not None:
            arguments = arguments_of(index, sq, given, of.simple)
            body = Inlined(place, index, of.function.source, of.function.line, arguments, tails)
            statements = [(body.mark, False)]  # lines of its own are the body's: `LoopCode.is_body`
        else:
            if not event.runs:
                call = inputs[0]
            elif sq.singly:
                call = f"f{index}({inputs[0]})"
            else:
                call = call_of(index, sq, given)
            takes = f"{' = '.join(tails.targets)} = {call}" if tails.targets else call
            if event.runs and sq.told:
                takes = f"ask{place}(base); {takes}"
            statements = [(takes, event.runs), *((text, False) for text in tails.checked)]
    if event.inputs and id(event.inputs[0]) in trace.optional and len(event.inputs) == 1:
        made = [value.name for value in wires_of(event)]
        otherwise = [f"{' = '.join(made)} = gone"] if made else []
        if event.runs:
            otherwise.append(f"silent[{event.part.index}] += 1")
        statements = [
            (f"if {inputs[0]} is not gone:", False),
            *(("    " + text, call) for text, call in statements),
            *([("else:", False)] if otherwise else []),
            *(("    " + text, False) for text in otherwise),
        ]
    return statements, body


def _on_tokens(trace: Trace, place: int, event: PlanEvent, inputs: list[str]) -> list[tuple[str, bool]]:
    """The statements of a firing on tokens."""
    begin, results = trace.plan.begin, event.results or []
    made = "".join(result.value.name + ", " for result in results)
    ask = f"ask{place}(base); " if event.part.sq.told else ""
    if event.calls:
        statements = [
            (f"{ask}result = run{place}({', '.join(['base', *inputs])})", True),
            (f"if type(result) is list: return {place}, base, locals()", False),
            (f"{made}= result", False),
        ]
        return statements if made else statements[:2]
    statements = []
    if event.asked is not None and not event.gives:
        statements = [
            (
                f"if type({event.asked.text(begin)}) is not bool: result = run{place}({', '.join(['base', *inputs])})",
                True,
            ),
            ("else: result = ()", False),
            (f"if type(result) is list: return {place}, base, locals()", False),
        ]
    for wire, result in enumerate(results):
        of = result.of.text(begin) if isinstance(result.of, StandIn) else f"k{place}_{wire}"
        if result.when is not None:
            condition, truth = result.when[0].text(begin), result.when[1]
            of = f"{of} if {condition} else gone" if truth else f"gone if {condition} else {of}"
        statements.append((f"{result.value.name} = {of}", result.when is not None))
        if result.when is not None and id(result.value) not in trace.optional:
            result_is = f"if {result.value.name} is gone: result = []; return {place}, base, locals()"
            statements.append((result_is, False))
    return statements


def _tails(trace: Trace, place: int, event: PlanEvent) -> Tails:
    """The statements that take the result of an event, and pass it on."""
    made, recorded = wires_of(event), trace.notes is not None
    each = [value.name for value in made]
    leaves = f"return {place}, base, locals()"
    may_lack = not recorded and all(id(value) in trace.optional for value in made)
    absent = (f"{' = '.join(each)} = gone" if each else "pass") if may_lack else leaves
    if not each and not told_at_once(event):
        if not (recorded and event.runs):
            return Tails((), (), (), ())
        # It says whether there was a result.
        return Tails(("result",), (f"if type(result) is empty: {leaves}",), (), ("result = nothing", leaves))
    takes = [*each, f"n{place}"] if recorded else each
    if not passes_on(event):
        plain = [f"wires = hand{place}(result, base)", f"if wires is leave: {leaves}"]
        plain += [f"{', '.join(takes)}, = wires"] if takes else []
        there = "if result is not nothing and type(result) is not empty:"
        checked = [there, *("    " + text for text in plain), f"else: {absent}"]
        empty = [absent] if may_lack else ["result = nothing", leaves]
        return Tails(("result",), tuple(checked), tuple(plain), tuple(empty))
    is_empty = f"kind is empty or {each[0]}.__class__ is empty"
    hand = f"{', '.join(takes)}, = hand{place}({each[0]}, base)"
    if not trace.inline.strict.isdisjoint(map(id, made)):
        hand = leaves  # a body that is inlined takes plain values only
    checked = [
        f"if type({each[0]}) is not int and (kind := type({each[0]})) is not float and kind not in plain:",
        f"    if {is_empty}: {absent}",
        f"    {'else: ' if may_lack else ''}{hand}",
    ]
    empty = [absent] if may_lack else [f"{' = '.join(each)} = nothing", leaves]
    return Tails(tuple(takes), tuple(checked), (), tuple(empty))
