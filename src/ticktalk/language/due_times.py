"""The SQs whose bodies may call `firing()`, and what the graph says beforehand of when their results are due."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTFunction, TTStatement
from ticktalk.instructions import ON_TOKENS
from ticktalk.language.draft import Arc, GraphDraft, InputDraft, SQDraft

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


def due_of(name: str, draft: GraphDraft) -> dict[Since, int]:
    """When the results of the SQ of this name are due: as `TTSQ.due`."""
    node = next(each for each in draft.sqs if each.sq.name == name)
    due: dict[Since, int] = {}

    def add(since: Since, ticks: int) -> None:
        due[since] = min(due.get(since, ticks), ticks)

    if node.sq.single_run is not None:
        add("now", node.sq.single_run)
    if node.sq.timeout:
        add("start", node.sq.timeout)
    for deadline in draft.sqs:
        if deadline.sq.trigger != "deadline" or deadline.sq.clock != "root":
            continue
        if deadline.ends[0] is None or deadline.ends[0].source is not node:
            continue
        found = _after_tag(deadline.ends[1], deadline.sq.offset)
        if found is None:
            continue
        source, since, ticks = found
        if source is node:
            add(since, ticks)
        elif since == "instant" and _only_stream(node) is source:
            add("middle", ticks)
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


def _only_stream(fed: SQDraft) -> SQDraft | None:
    """The stream on whose intervals alone an SQ fires; None if there is no such one."""
    node = fed
    while not node.is_source:
        own_interval = node.sq.full_token or (not node.sq.body and node.sq.function in ON_TOKENS)
        if node.sq.trigger != "arrival" or node.sq.singly or (own_interval and node is not fed):
            return None
        # Inputs of the graph hold for ever, and constants too.
        before = {end.source for end in node.ends if end is not None and not isinstance(end.source, InputDraft)}
        if len(before) != 1:
            return None
        source = before.pop()
        if not isinstance(source, SQDraft):
            return None
        node = source
    return node
