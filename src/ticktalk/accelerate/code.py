"""Generated code, and how it calls a body: `f3` is that of SQ 3, `a3_1` the constant on its port 1."""

from __future__ import annotations

from typing import NamedTuple

from ticktalk.bodies.inlined import Inlined, as_text
from ticktalk.bodies.statements import LINES
from ticktalk.engine.execution import unchangeable
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import INSTRUCTIONS


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
    if sq.body or sum(not port.hidden for port in sq.ports) != 2 or any(port.keyword for port in sq.ports):
        return False
    return sq.function in INSTRUCTIONS and INSTRUCTIONS[sq.function].operator != ""


def made_anew(sq: TTSQ) -> bool:
    """True if a constant sits on a port that the body could change, so that each firing gets its own."""
    constants = [port.constant[0] for port in sq.ports if port.constant is not None and not port.hidden]
    return not all(unchangeable(decode_constant(constant)) for constant in constants)
