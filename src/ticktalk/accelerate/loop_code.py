"""Writes the code of a plan: a loop over periods, whose body is the events of one period in order.

`v7` is the value that event 7 makes, `v7_1` that for its second receiver. `c2` is the third of the values that stand
there at the begin of a period: tokens under way or waiting, settled values. At the end of the period they get the
values that stand there then. `f3` is the body of SQ 3, `a3_1` the constant on its port 1.

Rare steps are calls: `hand7` copies a value that could be changed, one for each receiver, or until a run ends, and
tells the manager of an output; `run7` runs what works on tokens, unless it is known to give `k7_0`; `ask7` sets what
`firing()` gives in a body; `left4` keeps a token that nobody can meet any more; `note` takes the values of a period
that is recorded: `n7` is what is recorded of what event 7 makes.

The function ends where an event is not as planned: its result is absent, somebody has to be told of an output, a body
raised. It gives the place of that event, the begin of that period, and all names. Where nobody's matching depends on a
result, absence needs no more than an `if`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from ticktalk.accelerate.chosen import NO_BODIES, Inline
from ticktalk.accelerate.code import call_of
from ticktalk.accelerate.events import Part, PlanEvent, StandIn, passes_on, told_at_once, wires_of
from ticktalk.bodies.inlined import Inlined, arguments_of, as_text
from ticktalk.bodies.statements import LINES, Tails
from ticktalk.engine.firing.arrival import SinglePortSync

KNOWN = re.compile(r"\b(?:(?:tell|ask|f|arrange|run|hand|left)\d+|[ak]\d+_\d+)\b(?!=)")
"""The names in statements that are known when the function is made; no keywords, which are users' names."""

ALWAYS = "silent, gone, nothing, empty, plain, type, int, float, leave"


ABSENT = StandIn(-1, 0)
"""Stands for a value that may be absent, and is."""


class OutOfReach(NamedTuple):
    """A token that gets out of reach in a period, while it waits at a port; times count from the period's begin.

    Attributes:
        part: whose port it is.
        port: the place of the port.
        since: its start, number, stop, and the tick of a deadline or of the arrival of data.
        value: the value; None: it has none.
    """

    part: Part
    port: int
    since: tuple[int, ...]
    value: StandIn | None


class LoopCode(NamedTuple):
    """A generated function.

    Attributes:
        text: the function, with marks in place of bodies that stand there.
        lines: for each line of `text`, from 1 on, the place of the event that it belongs to; -1: none; less: `paused`.
        calls: the lines on which bodies are called.
        parameters: the names that it wants first: the begin, the end, values that stand there.
        bodies: those that stand there.
    """

    text: str
    lines: list[int]
    calls: set[int]
    parameters: list[str]
    bodies: tuple[Inlined, ...]

    def place(self, line: int) -> int:
        """The place of the event that a line belongs to; see `lines`."""
        return line // LINES - 1 if line >= LINES else self.lines[line]

    def is_body(self, line: int) -> bool:
        """True if a body runs on a line, or is called there."""
        return line >= LINES or line in self.calls

    @property
    def shown(self) -> str:
        """The function with all bodies."""
        return as_text(self.text, self.bodies)


class Names:
    """The names of values in the code of a plan.

    Args:
        begin: the tick from which the events' times count.
        standing: the values that stand there at the begin.
    """

    def __init__(self, begin: int, standing: list[StandIn]) -> None:
        self.begin = begin
        self._of: dict[int, str] = {id(value): f"c{place}" for place, value in enumerate(standing)}
        self._kept = standing

    def name_wires(self, place: int, event: PlanEvent) -> None:
        """Give names to what an event makes."""
        made = wires_of(event)
        for value in made:
            self._of[id(value)] = f"v{place}" if len(made) == 1 else f"v{place}_{value.wire}"

    def of(self, value: StandIn) -> str:
        """The name of a value, or the expression for a tick."""
        name = self._of.get(id(value))
        if name is not None:
            return name
        return "gone" if value is ABSENT else f"(base + {value.tick - self.begin})"  # type: ignore[operator]

    def noted(self, place: int, event: PlanEvent, arc: str, value: StandIn | None) -> str:
        """The expression for what is recorded of `value`, which the event at a place sends on an arc."""
        if value is not None and value.wire < 0:
            return self.of(value)
        return f"n{place}[{arc!r}]" if told_at_once(event) else f"n{place}"


def optional_values(
    events: list[PlanEvent],
    begin: list[StandIn],
    end: list[StandIn],
    left: list[OutOfReach],
    needed: set[int],
    allowed: set[int] | None,
) -> set[int]:
    """The ids of the values whose absence changes only whether the SQs behind fire.

    Those SQs have one input, keep no order and tell no tags.

    Args:
        events: of a period.
        begin, end: what stands there at its begin and at its end, place by place.
        left: what gets out of reach.
        needed: the ids of values that may not be absent.
        allowed: the places at which a value may be absent at the end; None: where it may be at the begin.
    """
    uses: Counter[int] = Counter(id(value) for event in events for value in event.inputs)
    uses.update(id(value) for value in end)
    found = {id(value) for value in [*begin, *(value for event in events for value in wires_of(event))]}
    found = {value for value in found if uses[value] == 1}
    found -= needed | {id(entry.value) for entry in left}
    while True:
        lost: set[int] = set()
        for event in events:
            single = isinstance(event.part.twin, SinglePortSync) and not event.part.twin.forward
            single &= event.kind == "fire" and not event.part.keeps and not any(leg.tag for leg in event.part.legs)
            single |= event.kind == "end"
            if not (event.kind == "tell" or (single and all(id(value) in found for value in wires_of(event)))):
                lost.update(id(value) for value in event.inputs)
        for place, value in enumerate(end):
            if not (id(begin[place]) in found if allowed is None else place in allowed):
                lost.add(id(value))
        if not lost & found:
            return found
        found -= lost


def loop_code(
    names: Names, events: list[PlanEvent], first: int, length: int, carried: list[tuple[str, str]],
    left: list[OutOfReach],
    optional: set[int], say_which: bool = False, turns: bool = False, own_end: bool = False,
    noted: list[str] | None = None, inline: Inline = NO_BODIES,
) -> LoopCode:  # fmt: skip
    """The function of the events from the `first` on.

    Args:
        names: of all values.
        events: of a period, in order.
        length: ticks of the period; 0: the events run once, with `base` given.
        carried: the names of values that stand there, each with the name of what stands there at the end.
        left: the tokens that get out of reach.
        optional: see `optional_values`.
        say_which: with comments that name the SQs.
        turns: as a generator that pauses after each tick; resumed with a true value, after each event of that tick.
        own_end: a generator ends its period at a tick of its own, after those of the events.
        noted: the values of each period that are recorded; None: none is.
        inline: the bodies that are not called.
    """
    bodies: list[Inlined] = []
    texts = [f"left{place}" for place, entry in enumerate(left) if entry.value is not None]
    lines: list[tuple[str, int, bool]] = []
    depth = "            " if length else "        "
    recorded = noted is not None
    end = [f"left{place}({names.of(entry.value)})" for place, entry in enumerate(left) if entry.value is not None]
    if noted is not None:
        end.append(f"note(({''.join(name + ', ' for name in noted)}))")
    changed = [(old, new) for old, new in carried if old != new]
    if changed:
        end.append(f"{', '.join(old for old, _ in changed)} = {', '.join(new for _, new in changed)}")
    at_end = [(depth + text, len(events), False) for text in end]
    for place, event in enumerate(events[first:], first):
        statements, body = _statements(names, place, event, optional, recorded, inline)
        bodies += [] if body is None else [body]
        texts += [text for text, _ in statements] + ([] if body is None else body.texts)
        if say_which and statements:
            text, call = statements[0]
            line = f", line {event.part.sq.line}" if event.part.sq.line else ""
            statements[0] = f"{text}  # {event.part.sq.name}{line}", call
        lines += [(depth + text, place, call) for text, call in statements]
        if turns:
            last = place + 1 == len(events)
            same_tick = not last and events[place + 1].tick == event.tick
            pause = depth + ("if turn: yield" if same_tick else "turn = yield")
            if own_end or not last:
                lines.append((pause, paused(place + 1), False))
            if last:
                lines += [*at_end, (pause, paused(place + 2), False)]
    if not turns:
        lines += at_end
    parameters = ["begin", "end", *(old for old, _ in carried)]
    if first:
        made = {names.of(value) for event in events[:first] for value in wires_of(event)}
        made |= {f"n{place}" for place in range(first)} & {name.partition("[")[0] for name in noted or ()}
        parameters += sorted(made)
    known = dict.fromkeys(["trace", "where", *KNOWN.findall("\n".join(texts))]) | dict.fromkeys(["note"] * recorded)
    step = "length" if turns else str(length)  # parts of one shape have the same text
    before = f"    base = begin - {step}"  # so it has a value wherever it is interrupted
    always = "length, " + ALWAYS if turns else ALWAYS
    stateful = sorted({body.part for body in bodies if body.simple.stateful})
    states = [(f"    s{part} = state{part}['sq_state']", -1) for part in stateful]
    head = [(f"def loop({', '.join([*parameters, *known, always])}):", -1), *states, (before, -1), ("    try:", -1)]
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
    """What stands for a pause before the event at `place` in `LoopCode.lines`; and back again.

    The end of a period counts as one more event.
    """
    return -3 - place


def _statements(
    names: Names, place: int, event: PlanEvent, optional: set[int], recorded: bool, inline: Inline
) -> tuple[list[tuple[str, bool]], Inlined | None]:
    """The statements of an event, with each, whether it calls a body; the body that stands there instead."""
    inputs = [names.of(value) for value in event.inputs]
    body = None
    if event.kind == "tag":
        return [], None
    if event.kind == "tell":
        statements = [(f"if tell{place}({inputs[0]}, base): return {place}, base, locals()", False)]
    elif event.results is not None:
        statements = _on_tokens(names, place, event, inputs, optional)
    else:
        tails = _tails(names, place, event, optional, recorded, inline.strict)
        sq, index = event.part.sq, event.part.index
        arcs = [port for port, kind in enumerate(sq.ports) if kind.constant is None]
        given = dict(zip(arcs, inputs, strict=True)) if event.runs and not sq.singly else {}
        of = inline.of.get(place)
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
    if event.inputs and id(event.inputs[0]) in optional and len(event.inputs) == 1:
        made = [names.of(value) for value in wires_of(event)]
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


def _on_tokens(
    names: Names, place: int, event: PlanEvent, inputs: list[str], optional: set[int]
) -> list[tuple[str, bool]]:
    """The statements of a firing on tokens."""
    results = event.results or []
    made = "".join(names.of(result.value) + ", " for result in results)
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
                f"if type({names.of(event.asked)}) is not bool: result = run{place}({', '.join(['base', *inputs])})",
                True,
            ),
            ("else: result = ()", False),
            (f"if type(result) is list: return {place}, base, locals()", False),
        ]
    for wire, result in enumerate(results):
        of = names.of(result.of) if isinstance(result.of, StandIn) else f"k{place}_{wire}"
        if result.when is not None:
            condition, truth = names.of(result.when[0]), result.when[1]
            of = f"{of} if {condition} else gone" if truth else f"gone if {condition} else {of}"
        statements.append((f"{names.of(result.value)} = {of}", result.when is not None))
        if result.when is not None and id(result.value) not in optional:
            result_is = f"if {names.of(result.value)} is gone: result = []; return {place}, base, locals()"
            statements.append((result_is, False))
    return statements


def _tails(names: Names, place: int, event: PlanEvent, optional: set[int], recorded: bool, strict: set[int]) -> Tails:
    """What takes the result of an event, and passes it on."""
    made = wires_of(event)
    each = [names.of(value) for value in made]
    leaves = f"return {place}, base, locals()"
    may_lack = not recorded and all(id(value) in optional for value in made)
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
    if not strict.isdisjoint(map(id, made)):
        hand = leaves  # a body that is inlined takes plain values only
    checked = [
        f"if type({each[0]}) is not int and (kind := type({each[0]})) is not float and kind not in plain:",
        f"    if {is_empty}: {absent}",
        f"    {'else: ' if may_lack else ''}{hand}",
    ]
    empty = [absent] if may_lack else [f"{' = '.join(each)} = nothing", leaves]
    return Tails(tuple(takes), tuple(checked), (), tuple(empty))
