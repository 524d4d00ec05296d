"""Writes the code of a region on a device: a Python function that runs its SQs one after the other, once.

SQ 3 hands on `v3`, and `v3_1` to its second consumer inside; both are `gone` where the SQ gave nothing.
`a3_1` is the value on port 1 of SQ 3 that no wire feeds, `f3` its body. Rare steps are calls. `hand3` copies a mutable
value, `edge3` sends results out of the region, `ended3` takes an error, `absent3` notes that the SQ did not fire.
`in_worker` gives these names their meaning. Plans in simulation call bodies the same way (`call_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ticktalk.accelerate.plan import Member
from ticktalk.engine.execution import unchangeable
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import INSTRUCTIONS

_ALWAYS = "gone, nothing, empty, plain, type, int, float"


class Code(NamedTuple):
    """A generated function.

    Attributes:
        text: the function.
        lines: for each line of `text`, from 1 on, the place of the SQ that it belongs to; -1: none.
    """

    text: str
    lines: list[int]


def once_code(members: list[Member], roots: int) -> Code:
    """The function `once(start, a0_0, a1_0, a1_1, ...)`.

    `start` is that of the interval, `a1_0` the value for port 0 of root 1, `gone` where that does not fire.
    """
    inputs = [f"a{root}_{port}" for root, port in once_inputs(members, roots)]
    acts = [
        f"{act}{index}"
        for index, member in enumerate(members)
        for act in (*(("edge",) if member.edge else ()), "hand", "ended", "absent")
    ]
    parameters = ["start", *inputs, "region", *_known_names(members, roots), *acts]
    lines = [(f"def once({', '.join(parameters)}, {_ALWAYS}):", -1)]
    for index, member in enumerate(members):
        lines += [(f"    {line}", index) for line in _block(index, member, index < roots)]
    return Code("".join(line + "\n" for line, _ in lines), [-1, *(index for _, index in lines)])


def once_inputs(members: Sequence[Member], roots: int) -> list[tuple[int, int]]:
    """The root and the port of each value that `once` takes, in order."""
    return [(index, port) for index, member in enumerate(members[:roots]) for port in member.arcs]


def _known_names(members: Sequence[Member], roots: int) -> list[str]:
    """The names that every firing needs, other than values that come anew."""
    names = []
    for index, member in enumerate(members):
        if not is_operator(member.sq):
            names.append(f"f{index}")
        if made_anew(member.sq):
            names.append(f"arrange{index}")
        comes = member.arcs if index < roots else member.wires
        names += [f"a{index}_{port}" for port in range(len(member.sq.ports)) if port not in comes]
    return names


def _if(condition: str, then: list[str], otherwise: list[str]) -> list[str]:
    lines = [f"if {condition}:", *("    " + line for line in then)]
    return lines + (["else:", *("    " + line for line in otherwise)] if otherwise else [])


def _block(index: int, member: Member, is_root: bool) -> list[str]:
    """One firing of one SQ, if its inputs are there."""
    statements = _firing(index, member)
    names = _results(index, member)
    otherwise = [f"{' = '.join(names)} = gone"] if names else []
    if member.wires:
        inputs = [wire.name for wire in member.wires.values()]
        there = " and ".join(f"{name} is not gone" for name in inputs)
        statements = _if(there, statements, [f"absent{index}(start, {', '.join(inputs)})", *otherwise])
    if is_root:
        return _if(f"a{index}_{member.arcs[0]} is not gone", statements, otherwise)
    return statements


def _firing(index: int, member: Member) -> list[str]:
    """The call of a body, and where its result goes."""
    names = _results(index, member)
    each = ", ".join(names)
    gives = f"{each} = " if names else ""
    call = call_of(index, member.sq, {port: wire.name for port, wire in member.wires.items()})
    if member.edge:
        otherwise = [f"{gives}hand{index}(result)"] if names else []
        sends = [f"{gives}edge{index}(result)"]
        result = [f"result = {call}", *_if("result is not nothing and type(result) is not empty", sends, otherwise)]
    elif not names:
        result = [call]
    else:
        result = [
            f"{' = '.join(names)} = {call}",
            f"if type({names[0]}) is not int and (kind := type({names[0]})) is not float and kind not in plain:",
            f"    {gives}hand{index}({names[0]})",
        ]
    return [
        "try:",
        *("    " + line for line in result),
        "except BaseException as error:",
        f"    {gives}ended{index}(error, start)",
    ]


def _results(index: int, member: Member) -> list[str]:
    """The names of the values that an SQ hands on, by way."""
    return [f"v{index}" if len(member.inner) == 1 else f"v{index}_{way}" for way in range(len(member.inner))]


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
