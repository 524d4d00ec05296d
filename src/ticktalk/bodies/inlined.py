"""Bodies that stand in generated code as statements, in place of calls.

In: a function as text, with a mark for each body; the source of the body, the texts that give its arguments, and those
that take its result. Out: a syntax tree. Statements of bodies keep their places in the user's file, `LINES` lines
further for each event, so that an error has the traceback of the call.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FunctionType, TracebackType
from typing import Any, NamedTuple

from ticktalk.bodies.statements import LINES, Simple, Tails, parsed, simple_of
from ticktalk.graph.sq import TTSQ


class Inlined(NamedTuple):
    """A body in the place of one event: all that its code depends on.

    Attributes:
        place: of the event; `part`: the index of its SQ.
        source, line: of the function, as it travels in the graph.
        arguments: the parameters, each with the text that gives its value.
        tails: what follows.
    """

    place: int
    part: int
    source: str
    line: int
    arguments: tuple[tuple[str, str], ...]
    tails: Tails

    @property
    def mark(self) -> str:
        """The statement that it stands in place of."""
        return f"inlined{self.place}"

    @property
    def texts(self) -> list[str]:
        """The texts of the values around it."""
        return [*(text for _, text in self.arguments), *self.tails.checked, *self.tails.plain, *self.tails.empty]

    @property
    def simple(self) -> Simple:
        """The known facts of the function."""
        found = simple_of(self.source, self.line)
        assert found is not None
        return found


def arguments_of(index: int, sq: TTSQ, given: dict[int, str], simple: Simple) -> tuple[tuple[str, str], ...]:
    """The parameters of a body, each with the text that gives its value.

    Args:
        index: of the SQ.
        given: the names of the values that come anew, by port.
    """
    visible = [place for place, port in enumerate(sq.ports) if not port.hidden]
    by_place = [place for place in visible if not sq.ports[place].keyword]
    port_of = dict(zip(simple.parameters, by_place, strict=False))
    port_of |= {sq.ports[place].name: place for place in visible if sq.ports[place].keyword}
    texts = {name: given.get(port, f"a{index}_{port}") for name, port in port_of.items()}
    return tuple((name, texts.get(name, f"d{index}_{name}")) for name in simple.parameters)


def spliced(text: str, bodies: tuple[Inlined, ...]) -> ast.Module:
    """The syntax tree of the code in `text`, with bodies in place of their marks."""
    return _Splice(bodies).visit(ast.parse(text))  # type: ignore[no-any-return]


def as_text(text: str, bodies: tuple[Inlined, ...]) -> str:
    """The code in `text`, with bodies in place of their marks."""
    by_mark = {body.mark: body for body in bodies}
    lines: list[str] = []
    for line in text.splitlines():
        mark, _, comment = line.strip().partition("  # ")
        if mark not in by_mark:
            lines.append(line)
            continue
        depth = line[: len(line) - len(line.lstrip())]
        shown = ast.unparse(ast.fix_missing_locations(ast.Module(_statements(by_mark[mark], 1), []))).splitlines()
        shown[0] += f"  # {comment}" if comment else ""
        lines += [depth + each for each in shown]
    return "\n".join([*lines, ""])


class _Splice(ast.NodeTransformer):
    def __init__(self, bodies: tuple[Inlined, ...]) -> None:
        self._bodies = {body.mark: body for body in bodies}

    def visit_Expr(self, node: ast.Expr) -> Any:
        body = self._bodies.get(node.value.id) if isinstance(node.value, ast.Name) else None
        return node if body is None else _statements(body, node.lineno)


def _statements(body: Inlined, line: int) -> list[ast.stmt]:
    """The statements of a body, with the names and lines of the plan; what is not of the user is at `line`."""
    simple, given = body.simple, dict(body.arguments)
    # A tick is an expression. No name can be that.
    copied = {name: text for name, text in given.items() if name in simple.bound or not text.isidentifier()}
    of = given | {name: f"b{body.place}_{name}" for name in {*simple.bound, *copied}}
    of |= {name: f"g{body.part}_{name}" for name in simple.free} | {"sq_state": f"s{body.part}"}
    shift = (body.place + 1) * LINES
    made = parsed(f"{of[name]} = {text}" for name, text in copied.items())
    made += simple.exits(body.tails)
    for node in (node for statement in made for node in ast.walk(statement) if hasattr(node, "lineno")):
        if node.lineno == 0:
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.Name):
            node.id = of.get(node.id, node.id)
        node.lineno += shift
        node.end_lineno = (node.end_lineno or node.lineno) + shift  # type: ignore[attr-defined]
    return made


# Errors.


def raised_in(function: Callable[..., Any], error: BaseException) -> None:
    """Let the traceback of an error that came up in a body's statements be that of a call of the body."""
    trace = error.__traceback__
    assert trace is not None and isinstance(function, FunctionType)
    place = [*trace.tb_frame.f_code.co_positions()][trace.tb_lasti // 2]
    line, end_line = (None if each is None else each % LINES for each in place[:2])
    where = {"lineno": line or trace.tb_lineno % LINES, "end_lineno": end_line}
    where |= {"col_offset": place[2] or 0, "end_col_offset": place[3]}
    module = ast.parse("def called():\n    raise __error__")
    (definition,) = module.body
    assert isinstance(definition, ast.FunctionDef)
    definition.name = function.__code__.co_name
    definition.lineno = definition.end_lineno = function.__code__.co_firstlineno
    for node in ast.walk(definition.body[0]):
        for name, value in where.items() if hasattr(node, "lineno") else ():
            setattr(node, name, value)
    names: dict[str, Any] = {"__error__": error}
    exec(compile(module, function.__code__.co_filename, "exec", dont_inherit=True), names)
    error.__traceback__ = None
    try:
        names.pop(definition.name)()
    except BaseException:
        called = error.__traceback__
    assert called is not None and called.tb_next is not None
    frame = called.tb_next
    error.__traceback__ = TracebackType(trace.tb_next, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
