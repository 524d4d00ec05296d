"""The text on SQs, ports and arcs in a picture of any format."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from ticktalk import printable
from ticktalk.durations import duration_text, period_text
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ, Nodes, TTArc, TTPort
from ticktalk.instructions import INSTRUCTIONS

_COLLECTIONS = ("TUPLE", "LIST", "SET", "DICT", "MERGE")


class PortCaption(NamedTuple):
    """A port: the text beside it, and its kind."""

    text: str
    kind: Literal["consumes", "sticky", "constant", "hidden"]


class Caption(NamedTuple):
    """The text on an SQ.

    Attributes:
        name: the SQ's name.
        function: `fuse()` for a body of the program, `ADD` for an instruction.
        rule: the label of its firing rule.
        timing: when a stream fires, when a deadline is; or "".
        notes: all other settings, one remark each.
        constraints: `on: rsu`, `needs: camera`.
        ports: in the order of `TTSQ.ports`.
    """

    name: str
    function: str
    rule: str
    timing: str
    notes: list[str]
    constraints: list[str]
    ports: list[PortCaption]


def caption(sq: TTSQ) -> Caption:
    """The text on `sq`."""
    return Caption(
        name=printable.line(sq.name),
        function=printable.line(sq.function) + ("()" if sq.body else ""),
        rule=sq.firing_rule,
        timing=_timing(sq),
        notes=[printable.line(note) for note in _notes(sq)],
        constraints=[printable.line(text) for text in _constraints(sq)],
        ports=[_port(sq, port) for port in sq.ports],
    )


def arc_label(arc: TTArc) -> str:
    """The arc's variable in the program; else the part of the result that it carries, or ""."""
    if arc.name:
        return printable.line(arc.name)
    return arc.kind if arc.kind != "value" else "".join(f"[{index}]" for index in arc.path)


def output_label(sq: TTSQ, arc: TTArc) -> str:
    """The name of an output of the graph: its variable, else its SQ."""
    if arc.name:
        return printable.line(arc.name)
    return printable.line(sq.name) + ("" if arc.kind == "value" and not arc.path else f" {arc_label(arc)}")


def plan_b_links(graph: Nodes) -> list[tuple[TTSQ, TTSQ]]:
    """Each plan B with its deadline."""
    by_name = {sq.name: sq for sq in graph.sqs}
    return [(by_name[sq.plan_b], sq) for sq in graph.sqs if sq.plan_b is not None]


def constant_text(encoded: Any) -> str:
    """An encoded constant as Python writes it, cut to 28 characters."""
    try:
        value = decode_constant(encoded)
    except ValueError:
        value = encoded
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of more digits than Python writes
        text = f"<{type(value).__name__}>"
    return shortened(printable.line(text), 28)


def shortened(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _timing(sq: TTSQ) -> str:
    if sq.period:
        parts = [f"every {period_text(sq.every)}"]
        if sq.phase:
            parts.append(f"phase {duration_text(sq.phase)}")
        if sq.width:
            parts.append(f"{duration_text(sq.width)} wide")
        if sq.missed == "catch-up":
            parts.append("catches up")
        return ", ".join(parts)
    if sq.trigger == "deadline":
        return f"by deadline + {duration_text(sq.offset)}" if sq.offset else "by deadline"
    return ""


def _notes(sq: TTSQ) -> list[str]:
    notes = []
    if sq.first_delay:
        notes.append(f"{duration_text(sq.first_delay)} after the first")
    if sq.stamp == "body":
        notes.append("stamped when it runs")
    if sq.clock != "root":
        notes.append(f"clock: {sq.clock}")
    if sq.trigger == "deadline" and sq.plan_b is not None and not sq.will_continue:
        notes.append("plan B ends it")
    usual = INSTRUCTIONS[sq.function].settings if sq.function in INSTRUCTIONS and not sq.body else {}
    passed_over = ("TTClock", "TTMaxGap")
    settings = {n: value for n, value in sq.instruction.items() if n not in passed_over and value != usual.get(n)}
    notes += [f"{name} = {constant_text(value)}" for name, value in {**settings, **sq.parameters}.items()]
    if "TTMaxGap" in sq.instruction:
        notes.append(f"fills at most {duration_text(sq.instruction['TTMaxGap'])}")
    if sq.single_run is not None:
        notes.append(f"single run, timeout {duration_text(sq.single_run)}")
    if sq.timeout:
        notes.append(f"runs at most {duration_text(sq.timeout)}")
    if sq.persistent:
        notes.append("own worker")
    if sq.stateful:
        notes.append("keeps state")
    if sq.full_token:
        notes.append("on full tokens")
    return notes


def _constraints(sq: TTSQ) -> list[str]:
    lines = []
    for constraint in sq.constraints:
        if constraint.names:
            lines.append("on: " + " | ".join(constraint.names))
        if constraint.components:
            lines.append("needs: " + ", ".join(constraint.components))
    return list(dict.fromkeys(lines))


def _port(sq: TTSQ, port: TTPort) -> PortCaption:
    name = printable.line(port.name)
    if name.isdigit():
        # An operand: the positions of a collection are its indices, those of an operator have no name.
        index = int(name)
        name = f"[{index}]" if sq.function in _COLLECTIONS or index > 25 else chr(ord("a") + index)
    if port.constant is not None:
        return PortCaption(f"{name} = {constant_text(port.constant[0])}", "constant")
    return PortCaption(name, "sticky" if port.sticky else "hidden" if port.hidden else "consumes")
