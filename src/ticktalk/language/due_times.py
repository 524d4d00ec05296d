"""The SQs whose bodies may call `firing()`, and what the graph says beforehand of when their results are due."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTFunction, TTStatement
from ticktalk.instructions import ON_TOKENS
from ticktalk.language.graph_draft import Arc, InputDraft, SQDraft

Since = Literal["instant", "now", "middle", "start"]


def mentioning_firing(
    functions: Mapping[str, TTFunction], statements: Sequence[TTStatement], modules: Mapping[str, str]
) -> Collection[str]:
    """The functions that name `firing`, or need a statement or a module that does."""
    if any(map(_names_firing, modules.values())):
        return functions.keys()
    naming = {index for index, statement in enumerate(statements) if _names_firing(statement.source)}
    return {name for name, each in functions.items() if _names_firing(each.source) or naming.intersection(each.needs)}


def _names_firing(source: str) -> bool:
    """True if a source does more with the name than to import it; a word in a comment or a text is no name."""
    if "firing" not in source:
        return False
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    for node in nodes:
        match node:
            case ast.Name(id="firing") | ast.Attribute(attr="firing") | ast.Constant(value="firing"):
                return True
            case ast.alias(name="firing", asname=str()):  # what calls it does not name it
                return True
    return False


def due_times(sqs: Sequence[SQDraft]) -> dict[str, dict[Since, int]]:
    """By the name of an SQ, when its results are due: as `TTSQ.due`; `sqs` are in the order of evaluation."""
    due: dict[str, dict[Since, int]] = {node.sq.name: {} for node in sqs}

    def add(node: SQDraft, since: Since, ticks: int) -> None:
        found = due[node.sq.name]
        found[since] = min(found.get(since, ticks), ticks)

    only_streams: dict[SQDraft, SQDraft | None] = {}  # of SQs, the stream on whose intervals alone they fire
    for node in sqs:
        only_streams[node] = node if node.is_source else _only_stream(node, only_streams)
        if node.sq.single_run is not None:
            add(node, "now", node.sq.single_run)
        if node.sq.timeout:
            add(node, "start", node.sq.timeout)
        if node.sq.trigger != "deadline" or node.sq.clock != "root" or node.ends[0] is None:
            continue
        watched, found = node.ends[0].source, _after_tag(node.ends[1], node.sq.offset)
        if found is None or not isinstance(watched, SQDraft):
            continue
        source, since, ticks = found
        if source is watched:
            add(watched, since, ticks)
        elif since == "instant" and only_streams[watched] is source:
            add(watched, "middle", ticks)
    return due


def _after_tag(arc: Arc | None, ticks: int) -> tuple[SQDraft, Since, int] | None:
    """The stream whose tag a deadline comes from, and how long after it: through sums with constants."""
    since: Since = "instant"
    while arc is not None and isinstance(arc.source, SQDraft):
        sq, ends = arc.source.sq, arc.source.ends
        if arc.kind == "tag":
            return arc.source, since, ticks
        constants = [decode_constant(port.constant[0]) for port in sq.ports if port.constant is not None]
        if sq.function in ("ADD", "SUB") and not sq.body and len(constants) == 1 and isinstance(constants[0], int):
            if sq.function == "SUB" and ends[0] is None:
                return None
            ticks += constants[0] if sq.function == "ADD" else -constants[0]
        elif sq.function == "READ_TTCLOCK" and not sq.body and sq.clock == "root":
            ticks += decode_constant(sq.instruction.get("delay", 0))
            since = "now"
        else:
            return None
        arc = next((end for end in ends if end is not None), None)
    return None


def _only_stream(node: SQDraft, known: Mapping[SQDraft, SQDraft | None]) -> SQDraft | None:
    """The stream on whose intervals alone an SQ fires; None if there is no such one. `known`: of SQs before it."""
    if node.sq.trigger != "arrival" or node.sq.singly:
        return None
    # Inputs of the graph hold for ever, and constants too.
    before = {end.source for end in node.ends if end is not None and not isinstance(end.source, InputDraft)}
    if len(before) != 1:
        return None
    source = before.pop()
    if not isinstance(source, SQDraft) or (not source.is_source and _has_own_interval(source)):
        return None
    return known[source]


def _has_own_interval(node: SQDraft) -> bool:
    return node.sq.full_token or (not node.sq.body and node.sq.function in ON_TOKENS)
