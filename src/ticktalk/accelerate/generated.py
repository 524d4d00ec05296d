"""The code of a region: one Python function that runs an instant from its sources to its edges.

Two functions are made of the same statements, one block for each SQ in graph order:

* `run(instants)` runs instant after instant, and gives the next one; it leaves after one that has told anything to
  somebody outside, and in the middle of one if that gave somebody a turn before its last SQ.
* `steps(instant)` is a generator that runs one instant, and gives the place in the order (`o3`) of each further SQ
  before it runs, so that others can have their turns in between. `rest3` is what is left of it after SQ 3.

`tree_code` writes that of a tree: one set of tokens, from its root's firing to its edges.

`ahead_code` writes another for many regions of one shape, each with instants of its own: it runs instants
that were sorted beforehand, and takes the bodies from a table. `once_code` writes that of a region on a device.

`v3` is what SQ 3 hands on, `v3_1` to its second consumer within the region; `gone` stands in it where the SQ had
nothing to say at this instant. All that seldom happens is a call: `hand3` copies what somebody could change,
`edge3` sends what leaves the region, `ended3` takes an error, `absent3` notes that the SQ did not fire. What these
names mean is told when the region starts (`engine.region`); the code itself is the same for regions of one shape.
"""

from __future__ import annotations

from typing import NamedTuple

from ticktalk.accelerate.regions import RegionNode, RegionPlan
from ticktalk.engine.execution import unchangeable
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import INSTRUCTIONS

_ALWAYS = "gone, nothing, empty, plain, type, int, float"


class RegionCode(NamedTuple):
    """A function generated for a region.

    Attributes:
        text: the function.
        lines: for each line of `text`, from 1 on, the index of the SQ that it belongs to; -1: none.
    """

    text: str
    lines: list[int]


def run_code(plan: RegionPlan, say_which: bool = False) -> RegionCode:
    """The function `run` of a region; `say_which`: with comments that name the SQs."""
    lines: list[tuple[str, int]] = [
        (f"def run(instants, {_known_before(plan)}):", -1),
        ("    left = False", -1),
        ("    try:", -1),
        ("        for instant in instants:", -1),
    ]
    for index, node in enumerate(plan.nodes):
        first = len(lines)
        leave = ["left = True", *_leave_if_others_are_next(plan, index, "instant", "return instant")]
        lines += [(" " * 12 + line, index) for line in _block(index, node, leave)]
        if say_which:
            lines[first] = _named(lines[first], node.sq)
    lines += [
        ("            if left:", -1),
        ("                break", -1),
        ("        instant += period", -1),
        ("    finally:", -1),
        ("        region.next = instant", -1),
        ("    return instant", -1),
    ]
    return _code(lines)


def steps_code(plan: RegionPlan, say_which: bool = False) -> RegionCode:
    """The generator `steps` of a region; `say_which`: with comments that name the SQs."""
    lines: list[tuple[str, int]] = [(f"def steps(instant, {_known_before(plan)}):", -1)]
    for index, node in enumerate(plan.nodes):
        first = len(lines)
        lines += [("    " + line, index) for line in _step(index, node)]
        if say_which:
            lines[first] = _named(lines[first], node.sq)
    return _code(lines)


def rest_code(plan: RegionPlan, done: int) -> RegionCode:
    """The generator `rest3(instant, v0, ...)` of a region: `steps` after its SQ at `done`, given `rest_inputs`."""
    given = "".join(name + ", " for name in rest_inputs(plan, done))
    lines: list[tuple[str, int]] = [(f"def rest{done}(instant, {given}{_known_before(plan)}):", -1)]
    for index, node in enumerate(plan.nodes[done + 1 :], done + 1):
        lines += [("    " + line, index) for line in _step(index, node)]
    return _code(lines)


def rest_inputs(plan: RegionPlan, done: int) -> list[str]:
    """What the SQs up to `done` hand on to those after it."""
    return [wire.name for node in plan.nodes[done + 1 :] for wire in node.wires.values() if wire.node <= done]


def ahead_code(plan: RegionPlan) -> RegionCode:
    """The code for many regions of the shape of `plan`.

    `ahead(entries, entry, ...)` runs the regions' instants: first `entry`, then those that the iterator `entries`
    gives. An entry is the tick, counted from `begin`, and in the last `bits` bits the region's place in `table`. It
    gives the last entry it ran, and None; or, where two are due at one tick, both, and has run neither.
    """
    names = "".join(name + ", " for name in ahead_names(plan))
    lines = [
        (f"def ahead(entries, entry, table, regions, mask, bits, begin, timers, ready, {_ALWAYS}):", -1),
        ("    left = False", -1),
        ("    for following in entries:", -1),
        ("        if following - entry <= mask and following >> bits == entry >> bits:", -1),
        ("            return entry, following", -1),
        (f"        {names}= table[entry & mask]", -1),
    ]
    for index, node in enumerate(plan.nodes):
        if_next = _leave_if_others_are_next(plan, index, "begin + (entry >> bits)", "return entry, None")
        leave = ["left = timers.left", *if_next]
        lines += [(" " * 8 + line, index) for line in _block(index, node, leave, ahead=True)]
    lines += [("        if left:", -1), ("            break", -1), ("        entry = following", -1)]
    lines += [("    return entry, None", -1)]
    return _code(lines)


def once_code(nodes: list[RegionNode], roots: int) -> RegionCode:
    """The function `once` of a region whose instants come from elsewhere, with the values of its roots.

    `once(start, a0_0, a1_0, a1_1, ...)` runs one: `a1_0` is what comes to port 0 of root 1, `gone` where that does not
    fire. It takes the start of the interval where the others take the instant.
    """
    inputs = [[f"a{index}_{port}" for port in _arcs(node.sq)] for index, node in enumerate(nodes[:roots])]
    given = {name for names in inputs for name in names}
    known = [name for index, node in enumerate(nodes) for name in _known(index, node) if name not in given]
    acts = [
        f"{act}{index}"
        for index, node in enumerate(nodes)
        for act in (*(("edge",) if node.edge else ()), "hand", "ended", "absent")
    ]
    parameters = ["instant", *(name for names in inputs for name in names), "region", *known, *acts]
    lines = [(f"def once({', '.join(parameters)}, {_ALWAYS}):", -1)]
    for index, node in enumerate(nodes):
        block = _block(index, node, [])
        if index < roots:
            names = _results(index, node)
            otherwise = ["else:", f"    {' = '.join(names)} = gone"] if names else []
            block = [f"if {inputs[index][0]} is not gone:", *("    " + line for line in block), *otherwise]
        lines += [("    " + line, index) for line in block]
    return _code(lines)


def once_inputs(nodes: list[RegionNode], roots: int) -> list[tuple[int, int]]:
    """What `once` takes: the root and its port, in order."""
    return [(index, port) for index, node in enumerate(nodes[:roots]) for port in _arcs(node.sq)]


def ahead_names(plan: RegionPlan) -> list[str]:
    """What a region's entry in the table of `ahead` holds."""
    return [name for index, node in enumerate(plan.nodes) for name in _known(index, node)]


def tree_code(plan: RegionPlan, say_which: bool = False) -> RegionCode:
    """The function `tree` of a tree; `say_which`: with comments that name the SQs.

    It is the `fire` of its root. Where somebody outside may have a turn before its last SQ, or the root may fire once
    more, it leaves the firing to the general engine; where that shows in between, it leaves it the rest.
    """
    given = ", ".join(wire.name for wire in plan.nodes[0].wires.values())
    lines: list[tuple[str, int]] = [
        (f"def tree(start, stop, values, now, {', '.join(tree_names(plan))}, {_ALWAYS}):", -1),
        ("    if root.may_fire_again or ready and ready[0][0] < last:", -1),
        ("        return general(start, stop, values, now)", -1),
        ("    running.current = inside", -1),
        (f"    {given}, = values", -1),
    ]
    for index, node in enumerate(plan.nodes):
        first = len(lines)
        lines += [("    " + line, index) for line in _tree_block(index, node)]
        if say_which:
            lines[first] = _named(lines[first], node.sq)
    lines.append(("    running.current = None", -1))
    return _code(lines)


def tree_names(plan: RegionPlan) -> list[str]:
    """What the function of a tree gets when it is made, as defaults of its last parameters."""
    names = ["region", "root", "general", "ready", "last", "running", "inside"]
    for index, node in enumerate(plan.nodes):
        names += [*_known(index, node), f"e{index}"]
        if index and len(_arcs(node.sq)) > 1:
            names.append(f"takes{index}")
        elif index and node.sq.order == "forward":
            names += [f"s{index}", f"late{index}"]
    return names


def _tree_block(index: int, node: RegionNode) -> list[str]:
    """One firing of one SQ of a tree, if its input is there."""
    leave = [f"if region.left(): return region.leave({index}, locals(), start, stop)"]
    block = [f"e{index}.fired += 1", *_firing(index, node, "start, stop", leave)]
    if not index:
        return block
    condition = _all_there(node, " and ")
    (wire,) = node.wires.values()
    if len(_arcs(node.sq)) > 1:
        condition += f" and takes{index}({wire.name}, start, stop, now)"
    elif node.sq.order == "forward":
        condition += f" and (start >= s{index}.last_start or late{index}())"
        block.insert(0, f"s{index}.last_start = start")
    block = [f"if {condition}:", *("    " + line for line in block)]
    names = _results(index, node)
    return block + (["else:", f"    {' = '.join(names)} = gone"] if names else [])


def _arcs(sq: TTSQ) -> list[int]:
    return [index for index, port in enumerate(sq.ports) if port.constant is None]


def _code(lines: list[tuple[str, int]]) -> RegionCode:
    return RegionCode("".join(line + "\n" for line, _ in lines), [-1, *(index for _, index in lines)])


def _known_before(plan: RegionPlan) -> str:
    """The parameters of `run`, `steps` and `rest` that have defaults."""
    return "period, region, ready, " + "".join(name + ", " for name in ahead_names(plan)) + _ALWAYS


def _known(index: int, node: RegionNode) -> list[str]:
    """What every firing needs, as parameters that have defaults: locals are the fastest names."""
    sq = node.sq
    names = [] if _operator(sq) else [f"f{index}"]
    if _made_anew(sq):
        names.append(f"arrange{index}")
    return names + [f"a{index}_{port}" for port in range(len(sq.ports)) if port not in node.wires]


def _named(line: tuple[str, int], sq: TTSQ) -> tuple[str, int]:
    return f"{line[0]}  # {sq.name}" + (f", line {sq.line}" if sq.line else ""), line[1]


def _step(index: int, node: RegionNode) -> list[str]:
    """One SQ of `steps`."""
    waits = f"yield o{index}"
    if node.wires:
        waits = f"if {_all_there(node, ' or ')}: {waits}"
    return ([waits] if index else []) + _block(index, node, [])


def _leave_if_others_are_next(plan: RegionPlan, index: int, instant: str, leave: str) -> list[str]:
    """What follows when the SQ at `index` has told somebody outside, who may have given somebody a turn."""
    if index == len(plan.nodes) - 1:
        return []
    return [
        "if ready and ready[0][0] < region.last:",
        f"    region.leave({index}, locals(), {instant})",
        f"    {leave}",
    ]


def _block(index: int, node: RegionNode, leave: list[str], ahead: bool = False) -> list[str]:
    """One firing of one SQ, if its inputs are there; `leave`: what follows when it has told somebody outside."""
    instant = "begin + (entry >> bits)" if ahead else "instant"
    block = _firing(index, node, instant, leave, ahead)
    if not node.wires:
        return block
    names = _results(index, node)
    block = [f"if {_all_there(node, ' and ')}:", *("    " + line for line in block)]
    otherwise = [f"{' = '.join(names)} = gone"] if names else []
    if len(node.wires) > 1 or node.sq.order == "forward":
        inputs = ", ".join(wire.name for wire in node.wires.values())
        otherwise.insert(0, f"{_act('absent', index, ahead)}({instant}, {inputs})")
    if otherwise:
        block += ["else:", *("    " + line for line in otherwise)]
    return block


def _firing(index: int, node: RegionNode, when: str, leave: list[str], ahead: bool = False) -> list[str]:
    """The call of a body, and what becomes of its result; `leave`: what follows when it has told somebody outside."""
    edge, hand, ended = [_act(what, index, ahead) for what in ("edge", "hand", "ended")]
    names = _results(index, node)
    all_of_them, each = " = ".join(names), ", ".join(names)
    call = _call(index, node)
    if node.edge:
        gives = f"{each} = " if names else ""
        result = [
            f"result = {call}",
            "if result is not nothing and type(result) is not empty:",
            f"    {gives}{edge}(result, {when})",
            *("    " + line for line in leave),
        ]
        if names:
            result += ["else:", f"    {gives}{hand}(result, {when})"]
    elif not names:
        result = [call]
    else:
        result = [
            f"{all_of_them} = {call}",
            f"kind = type({names[0]})",
            "if kind is not int and kind is not float and kind not in plain:",
            f"    {each} = {hand}({names[0]}, {when})",
        ]
    return [
        "try:",
        *("    " + line for line in result),
        "except BaseException as error:",
        f"    {each + ' = ' if names else ''}{ended}(error, {when})",
        *("    " + line for line in leave),
    ]


def _act(what: str, index: int, ahead: bool) -> str:
    """What is called when more is to be done than to run a body; `ahead`: found when it is needed."""
    return f"(region := regions[entry & mask]).parts[{index}].{what}" if ahead else f"{what}{index}"


def _results(index: int, node: RegionNode) -> list[str]:
    """The names of what an SQ hands on, by way."""
    return [f"v{index}" if len(node.inner) == 1 else f"v{index}_{way}" for way in range(len(node.inner))]


def _all_there(node: RegionNode, joined: str) -> str:
    return joined.join(f"{wire.name} is not gone" for wire in node.wires.values())


def _call(index: int, node: RegionNode) -> str:
    """The call of the body: wires, and `a3_1` for what sits on port 1 of SQ 3 all the time."""
    sq = node.sq
    own = {port: wire.name for port, wire in node.wires.items()}
    values = {port: own.get(port, f"a{index}_{port}") for port in range(len(sq.ports))}
    if _made_anew(sq):
        arcs = [values[port] for port, kind in enumerate(sq.ports) if kind.constant is None]
        return f"arrange{index}(f{index}, ({''.join(value + ', ' for value in arcs)}))"
    visible = [port for port, kind in enumerate(sq.ports) if not kind.hidden]
    if _operator(sq):
        return f"{values[visible[0]]} {INSTRUCTIONS[sq.function].operator} {values[visible[1]]}"
    arguments = [
        f"{sq.ports[port].name}={values[port]}" if sq.ports[port].keyword else values[port] for port in visible
    ]
    return f"f{index}({', '.join(arguments)})"


def _operator(sq: TTSQ) -> bool:
    if sq.body or sum(not port.hidden for port in sq.ports) != 2:
        return False
    return sq.function in INSTRUCTIONS and INSTRUCTIONS[sq.function].operator != ""


def _made_anew(sq: TTSQ) -> bool:
    """Whether a constant sits on a port that the body could change, so that each firing gets its own."""
    constants = [port.constant[0] for port in sq.ports if port.constant is not None and not port.hidden]
    return not all(unchangeable(decode_constant(constant)) for constant in constants)
