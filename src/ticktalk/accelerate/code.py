"""How generated code calls a body: `f3` is that of SQ 3, `a3_1` the constant on its port 1."""

from __future__ import annotations

from ticktalk.engine.execution import unchangeable
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import INSTRUCTIONS


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
