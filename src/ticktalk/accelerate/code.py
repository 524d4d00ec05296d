"""Writes the code of a region: Python functions that run its SQs one after the other.

All functions are made of the same statements, one block for each SQ in order:

* `run(instants)` runs instant after instant and gives the next one. It ends after an instant that sent something
  outside. It ends within the instant if that gave an SQ outside a turn before the region's last SQ.
* `steps(instant)` is a generator that runs one instant. Before each further SQ it gives that SQ's place in the order
  (`o3`), so that others have their turns in between. `rest3` is the rest of it after SQ 3.
* `ahead(entries, ...)` runs instants of many regions of one shape, sorted beforehand. Bodies come from a table.
* `once(instant, ...)` runs a command to a worker: values for the roots that fire.

SQ 3 hands on `v3`, and `v3_1` to its second consumer inside; both are `gone` where the SQ gave nothing.
`a3_1` is the value on port 1 of SQ 3 that no wire feeds, `f3` its body. Rare steps are calls. `hand3` copies a mutable
value, `edge3` sends results out of the region, `ended3` takes an error, `absent3` notes that the SQ did not fire.
`bind` gives these names their meaning; regions of one shape have the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ticktalk.accelerate.plan import Member, RegionPlan
from ticktalk.engine.execution import unchangeable
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import INSTRUCTIONS

_ALWAYS = "gone, nothing, empty, plain, type, int, float"

_Block = Callable[[int, Member], list[str]]
"""The statements of the SQ at a place."""


class Code(NamedTuple):
    """A generated function.

    Attributes:
        text: the function.
        lines: for each line of `text`, from 1 on, the place of the SQ that it belongs to; -1: none.
    """

    text: str
    lines: list[int]


def run_code(plan: RegionPlan, say_which: bool = False) -> Code:
    """The function `run`; `say_which`: with comments that name the SQs."""

    def block(index: int, member: Member) -> list[str]:
        return _block(index, member, "instant", ["told = True", *_leave(plan, index, "instant", "return instant")])

    head = [f"def run(instants, {_known_before(plan)}):", "    told = False", "    try:"]
    tail = ["            if told:", "                break", "        instant += period"]
    tail += ["    finally:", "        region.next = instant", "    return instant"]
    return _code([*head, "        for instant in instants:"], _blocks(plan.members, block, 12, say_which), tail)


def steps_code(plan: RegionPlan, say_which: bool = False) -> Code:
    """The generator `steps`; `say_which`: with comments that name the SQs."""
    head = f"def steps(instant, {_known_before(plan)}):"
    return _code([head], _blocks(plan.members, _step, 4, say_which))


def rest_code(plan: RegionPlan, done: int) -> Code:
    """The generator `rest3(instant, v0, ...)`: `steps` after the SQ at `done`, given `rest_inputs`."""
    given = "".join(name + ", " for name in rest_inputs(plan, done))
    head = f"def rest{done}(instant, {given}{_known_before(plan)}):"
    return _code([head], _blocks(plan.members, _step, 4, first=done + 1))


def rest_inputs(plan: RegionPlan, done: int) -> list[str]:
    """The values that the SQs up to `done` hand on to those after it."""
    return [wire.name for member in plan.members[done + 1 :] for wire in member.wires.values() if wire.member <= done]


def ahead_code(plan: RegionPlan) -> Code:
    """The function `ahead` for regions of the shape of `plan`.

    It runs first the instant `entry`, then those that the iterator `entries` gives. An entry is the tick, counted from
    `begin`, and in the last `bits` bits the region's place in `table`. `ahead` gives the last entry it ran, and None;
    or, where two regions are due at one tick, both entries, and has run neither.
    """
    when = "begin + (entry >> bits)"

    def block(index: int, member: Member) -> list[str]:
        leave = ["told = timers.told", *_leave(plan, index, when, "return entry, None")]
        # Rare steps are found in their region only when needed.
        return _block(index, member, when, leave, f"(region := regions[entry & mask]).parts[{index}].{{what}}")

    names = "".join(name + ", " for name in known_names(plan.members))
    head = [
        f"def ahead(entries, entry, table, regions, mask, bits, begin, timers, ready, {_ALWAYS}):",
        "    told = False",
        "    for following in entries:",
        "        if following - entry <= mask and following >> bits == entry >> bits:",
        "            return entry, following",
        f"        {names}= table[entry & mask]",
    ]
    tail = ["        if told:", "            break", "        entry = following", "    return entry, None"]
    return _code(head, _blocks(plan.members, block, 8), tail)


def once_code(members: list[Member], roots: int) -> Code:
    """The function `once(instant, a0_0, a1_0, a1_1, ...)`.

    `instant` is the start of the interval, `a1_0` the value for port 0 of root 1, `gone` where that does not fire.
    """

    def block(index: int, member: Member) -> list[str]:
        statements = _block(index, member, "instant", [], always=True)
        if index < roots:
            return _if(f"a{index}_{member.arcs[0]} is not gone", statements, _nothing_from(index, member))
        return statements

    inputs = [f"a{root}_{port}" for root, port in once_inputs(members, roots)]
    acts = [
        f"{act}{index}"
        for index, member in enumerate(members)
        for act in (*(("edge",) if member.edge else ()), "hand", "ended", "absent")
    ]
    parameters = ["instant", *inputs, "region", *known_names(members, roots), *acts]
    return _code([f"def once({', '.join(parameters)}, {_ALWAYS}):"], _blocks(members, block, 4))


def once_inputs(members: Sequence[Member], roots: int) -> list[tuple[int, int]]:
    """The root and the port of each value that `once` takes, in order."""
    return [(index, port) for index, member in enumerate(members[:roots]) for port in member.arcs]


def _code(head: Iterable[str], blocks: list[tuple[str, int]], tail: Iterable[str] = ()) -> Code:
    lines = [*((line, -1) for line in head), *blocks, *((line, -1) for line in tail)]
    return Code("".join(line + "\n" for line, _ in lines), [-1, *(index for _, index in lines)])


def _blocks(
    members: Sequence[Member], block: _Block, indent: int, say_which: bool = False, first: int = 0
) -> list[tuple[str, int]]:
    """The lines of all SQs from the `first` on, and whose they are."""
    lines = []
    for index, member in enumerate(members[first:], first):
        statements = block(index, member)
        if say_which:
            statements[0] += f"  # {member.sq.name}" + (f", line {member.sq.line}" if member.sq.line else "")
        lines += [(" " * indent + line, index) for line in statements]
    return lines


def _known_before(plan: RegionPlan) -> str:
    """The parameters of `run`, `steps` and `rest` that have defaults: locals are the fastest names."""
    return ", ".join(["period", "region", "ready", *known_names(plan.members), _ALWAYS])


def known_names(members: Sequence[Member], given: int = 0) -> list[str]:
    """The names that every firing needs, as in the table of `ahead`; values for the first `given` SQs come anew."""
    names = []
    for index, member in enumerate(members):
        if not is_operator(member.sq):
            names.append(f"f{index}")
        if made_anew(member.sq):
            names.append(f"arrange{index}")
        comes = member.arcs if index < given else member.wires
        names += [f"a{index}_{port}" for port in range(len(member.sq.ports)) if port not in comes]
    return names


def _step(index: int, member: Member) -> list[str]:
    """One SQ of `steps`."""
    waits = f"yield o{index}"
    if member.wires:
        waits = f"if {_all_there(member, ' or ')}: {waits}"
    return ([waits] if index else []) + _block(index, member, "instant", [])


def _leave(plan: RegionPlan, index: int, instant: str, leave: str) -> list[str]:
    """The statements to leave after the SQ at `index` told a listener: an SQ outside may have the next turn."""
    if index == len(plan.members) - 1:
        return []
    return [
        "if ready and ready[0][0] < region.last:",
        f"    region.leave({index}, locals(), {instant})",
        f"    {leave}",
    ]


def _if(condition: str, then: list[str], otherwise: list[str]) -> list[str]:
    lines = [f"if {condition}:", *("    " + line for line in then)]
    return lines + (["else:", *("    " + line for line in otherwise)] if otherwise else [])


def _block(index: int, member: Member, when: str, leave: list[str], act: str = "", always: bool = False) -> list[str]:
    """One firing of one SQ, if its inputs are there; the arguments as of `_firing`.

    `always`: `absent` is called whenever it does not fire, also where no input is left over.
    """
    statements = _firing(index, member, when, leave, act)
    if not member.wires:
        return statements
    otherwise = _nothing_from(index, member)
    if always or len(member.wires) > 1 or member.sq.order == "forward":
        inputs = ", ".join(wire.name for wire in member.wires.values())
        absent = act.format(what="absent") or f"absent{index}"
        otherwise.insert(0, f"{absent}({when}, {inputs})")
    return _if(_all_there(member, " and "), statements, otherwise)


def _firing(index: int, member: Member, when: str, leave: list[str], act: str = "") -> list[str]:
    """The call of a body, and where its result goes.

    Args:
        when: the instant, or the start and the end of the interval.
        leave: the statements after a listener was told something.
        act: how `{what}`, as `edge`, is found where it has no name of its own.
    """
    edge, hand, ended = [act.format(what=what) or f"{what}{index}" for what in ("edge", "hand", "ended")]
    names = _results(index, member)
    each = ", ".join(names)
    gives = f"{each} = " if names else ""
    call = _call(index, member)
    if member.edge:
        otherwise = [f"{gives}{hand}(result, {when})"] if names else []
        sends = [f"{gives}{edge}(result, {when})", *leave]
        result = [f"result = {call}", *_if("result is not nothing and type(result) is not empty", sends, otherwise)]
    elif not names:
        result = [call]
    else:
        result = [
            f"{' = '.join(names)} = {call}",
            f"if type({names[0]}) is not int and (kind := type({names[0]})) is not float and kind not in plain:",
            f"    {gives}{hand}({names[0]}, {when})",
        ]
    return [
        "try:",
        *("    " + line for line in result),
        "except BaseException as error:",
        f"    {gives}{ended}(error, {when})",
        *("    " + line for line in leave),
    ]


def _results(index: int, member: Member) -> list[str]:
    """The names of the values that an SQ hands on, by way."""
    return [f"v{index}" if len(member.inner) == 1 else f"v{index}_{way}" for way in range(len(member.inner))]


def _nothing_from(index: int, member: Member) -> list[str]:
    """The SQ hands on nothing."""
    names = _results(index, member)
    return [f"{' = '.join(names)} = gone"] if names else []


def _all_there(member: Member, joined: str) -> str:
    return joined.join(f"{wire.name} is not gone" for wire in member.wires.values())


def _call(index: int, member: Member) -> str:
    """The call of the body."""
    return call_of(index, member.sq, {port: wire.name for port, wire in member.wires.items()})


def call_of(index: int, sq: TTSQ, given: dict[int, str]) -> str:
    """The call of the body of the SQ at a place; `given`: the names of the values that come anew, by port."""
    values = {port: f"a{index}_{port}" for port in range(len(sq.ports))} | given
    if made_anew(sq):
        arcs = [port for port, kind in enumerate(sq.ports) if kind.constant is None]
        return f"arrange{index}(f{index}, ({''.join(values[port] + ', ' for port in arcs)}))"
    visible = [port for port, kind in enumerate(sq.ports) if not kind.hidden]
    if is_operator(sq):
        return f"{values[visible[0]]} {INSTRUCTIONS[sq.function].operator} {values[visible[1]]}"
    arguments = [
        f"{sq.ports[port].name}={values[port]}" if sq.ports[port].keyword else values[port] for port in visible
    ]
    return f"f{index}({', '.join(arguments)})"


def is_operator(sq: TTSQ) -> bool:
    """True if the SQ is an operator between two values, which is written out."""
    if sq.body or sum(not port.hidden for port in sq.ports) != 2:
        return False
    return sq.function in INSTRUCTIONS and INSTRUCTIONS[sq.function].operator != ""


def made_anew(sq: TTSQ) -> bool:
    """True if a constant sits on a port that the body could change, so that each firing gets its own."""
    constants = [port.constant[0] for port in sq.ports if port.constant is not None and not port.hidden]
    return not all(unchangeable(decode_constant(constant)) for constant in constants)
