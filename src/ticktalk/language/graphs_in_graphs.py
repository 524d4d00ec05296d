"""Graphs that a graph calls: the body of each is evaluated at the call, in its own names."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from ticktalk.language.bindings import bound_names
from ticktalk.language.call_arguments import CALLABLE
from ticktalk.language.evaluation import Listing, Meaning, ModuleNames, Reference, Value
from ticktalk.language.expressions import Expressions
from ticktalk.language.function_templates import Function, check_body, parameters_of
from ticktalk.language.graph_draft import Arc, Branch, Constant, GivenArgument, GraphDraft
from ticktalk.source_problems import Problems

Ending = Literal["return", "break", "continue"]
"""The statement that ended a block."""

MOST_NESTED = 200
"""The depth to which graphs expand in graphs: a deeper recursion was meant to end."""

FRAMES = 60
"""Calls of functions of Python that one expansion may take at most, beside what an expression of its own takes."""

_LIMIT = threading.Lock()


@contextmanager
def deeper_calls() -> Iterator[None]:
    """Let functions nest deeper by `FRAMES` calls.

    The limit is one for all threads, and others may change it meanwhile. So none sets it to a value of before.
    """
    with _LIMIT:
        sys.setrecursionlimit(sys.getrecursionlimit() + FRAMES)
    try:
        yield
    finally:
        with _LIMIT:
            sys.setrecursionlimit(sys.getrecursionlimit() - FRAMES)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The meanings of a graph's names while its body is evaluated: see `Evaluation`; `file`: see `GraphDraft`."""

    problems: Problems
    module: ModuleNames
    local_names: frozenset[str]
    scopes: list[dict[str, Meaning]]
    outer_branch: Branch | None
    file: str


def local_names(node: Function) -> frozenset[str]:
    """The names that the body of a graph binds."""
    return frozenset(name for statement in node.body for name in bound_names(statement))


class GraphCalls(Expressions):
    """Evaluates calls of graphs.

    Attributes:
        depth: of graphs that are being expanded.
        returned: what the graph that is being expanded returns, with the tag arc if that is a stream's call.
        tag_of_graph: the call of a graph that was evaluated last, and the tag of what it returned.
        files: the files in which calls stand, with their problems.
    """

    def __init__(self, problems: Problems, names: ModuleNames, draft: GraphDraft) -> None:
        super().__init__(problems, names, draft)
        self.depth = 0
        self.returned: tuple[Value, Arc | None] | None = None
        self.tag_of_graph: tuple[ast.expr, Arc | None] | None = None
        self.files: dict[str, Problems] = {}
        self._expanded: set[str] = set()

    def block(self, statements: Sequence[ast.stmt]) -> Ending | None:
        """Evaluate statements, up to one that ends them."""
        raise NotImplementedError

    def expand(self, node: ast.Call, callee: Reference) -> Value:
        """The value of the call of a graph, whose body is evaluated there."""
        graph, home = callee.node, callee.home
        assert graph is not None and home is not None
        if self.depth >= MOST_NESTED:
            what = f"`{callee.name}` is expanded more than {MOST_NESTED} times within itself"
            raise self.refused(node, what, "end the recursion by an `if` over constants")
        arguments = self.arguments_of(node)
        self.evaluate_all([each for each in arguments if each.keyword is None or each.keyword.arg not in CALLABLE])
        check_body(graph, "@GRAPHify", home.problems)
        parameters = parameters_of(graph, "@GRAPHify", home.problems)
        bound = self.bind_arguments(node, callee.name, parameters, arguments, ("TTName",))
        draft = self.draft
        counted = draft.counted(callee.name)
        name = draft.prefix + self.common(bound).get("name", counted)
        if name in self._expanded:
            raise self.refused(node, f"two graphs are called `{name}`", "give one of them another `TTName`")
        self._expanded.add(name)
        names: dict[str, Meaning] = {}
        for parameter in parameters:
            if (argument := bound.get(parameter.name)) is not None:
                value = argument.given
                if isinstance(value, Listing) and draft.branch is not self.outer_branch:
                    value = replace(value, frozen=True)
                names[parameter.name] = value
                if (hint := parameter.annotation) is not None:
                    place, file = argument.where, draft.file
                    draft.handed.append(
                        GivenArgument(
                            value, place, file, callee.name, parameter.name, hint, home.name, home.problems.file
                        )
                    )
            elif parameter.default is not None:
                names[parameter.name] = self.at_home(home, parameter.default)
        self.files[home.file] = home.problems
        before = draft.prefix, self.returned
        self.depth += 1
        frame = Frame(home.problems, home.names, local_names(graph), [names], draft.branch, home.file)
        try:
            with deeper_calls(), self.within(frame):
                draft.prefix, self.returned = f"{name}/", None
                self.block(graph.body)
            value, tag = self.returned or (Constant(None), None)
        finally:
            self.depth -= 1
            draft.prefix, self.returned = before
        self.tag_of_graph = node, tag
        return value

    def frame(self) -> Frame:
        """The meanings that names have now."""
        return Frame(self.problems, self.module, self.local_names, self.scopes, self.outer_branch, self.draft.file)

    @contextmanager
    def within(self, frame: Frame) -> Iterator[None]:
        """Evaluate in the names of another graph."""
        before = self.frame()
        self._enter_frame(frame)
        try:
            yield
        finally:
            self._enter_frame(before)

    def _enter_frame(self, frame: Frame) -> None:
        self.problems, self.module, self.local_names = frame.problems, frame.module, frame.local_names
        self.scopes, self.outer_branch, self.draft.file = frame.scopes, frame.outer_branch, frame.file
