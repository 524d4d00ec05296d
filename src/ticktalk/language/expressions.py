"""Expressions of a graph body: folded where everything is known at compile time, else made into SQs.

This file finds the meaning of names, attributes and calls. The method that evaluates a kind of expression is named
after the class of its syntax tree, as those of `ast.NodeVisitor` are.
"""

from __future__ import annotations

import ast
import builtins
from typing import cast

from ticktalk.durations import WRITTEN
from ticktalk.instructions import BY_NAME
from ticktalk.language import folding
from ticktalk.language.builtin_calls import BuiltinCalls, in_a_body
from ticktalk.language.constructs import Constructs
from ticktalk.language.displays import Displays
from ticktalk.language.evaluation import UNKNOWN, Foreign, GiveUp, Home, Meaning, NoValue, Reference, Unknown, Value
from ticktalk.language.function_templates import KNOWN, construct_at
from ticktalk.language.graph_draft import Arc, Constant
from ticktalk.language.operators import Operators
from ticktalk.source_problems import did_you_mean
from ticktalk.time import TTClock


class Expressions(Displays, Operators, BuiltinCalls, Constructs):
    """Evaluates all expressions; see `Evaluation`."""

    def evaluate(self, node: ast.expr) -> Meaning:
        """The value of an expression, or the function, module or construct that it names; never refused."""
        visit = getattr(self, f"visit_{type(node).__name__}", None)
        try:
            if visit is None:
                raise self.refused(node, *refused_form(node))
            return cast(Meaning, visit(node))
        except NoValue:
            return UNKNOWN

    def at_home(self, home: Home, node: ast.expr) -> Value:
        """The value of an expression at the level of another module, or of this one, never refused."""
        try:
            return defaults_of(home, node).data(node)
        except (GiveUp, RecursionError, MemoryError):
            return UNKNOWN

    def visit_Name(self, node: ast.Name) -> Meaning:
        name = node.id
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        found = self.module.find(name, self._draft is not None)
        # `avg = avg(x)` can only mean the function; a graph is not run, so there is no local variable in its way.
        if name in self.local_names and not isinstance(found, Reference) and (found or name not in KNOWN):
            instead = (
                "bind it above: a graph has no cycle; what is kept for the next firing is in the `sq_state` of an SQ,"
                " and a driver (`component`) closes a loop between SQs"
            )
            raise self.refused(node, f"`{name}` is used before it is bound in the graph", instead)
        if found is not None:
            return found
        if name in KNOWN:
            return reference_to(name)
        if name in folding.BUILTINS:
            return Reference("builtin", name)
        if name in BODY_ONLY:
            return reference_to(name)
        if hasattr(builtins, name):
            what = f"`{name}` has no meaning in a graph"
            return Foreign(what, _IN_PLACE_OF.get(name, in_a_body(name)))
        visible = {*self.module, *KNOWN, *folding.BUILTINS, *(name for scope in self.scopes for name in scope)}
        raise self.refused(node, f"`{name}` is not defined", did_you_mean(name, visible))

    def visit_Attribute(self, node: ast.Attribute) -> Meaning:
        base, name = self.evaluate(node.value), node.attr
        if isinstance(base, Unknown):
            return base
        if isinstance(base, Foreign):
            return base.member(name) or base
        if isinstance(base, Reference):
            if base.kind == "module":
                return reference_to(f"{base.name}.{name}")
            if base.kind == "file":
                if (found := base.member(name)) is not None:
                    return found
                raise self.refused(node, f"`{base.name}` has no `{name}` that a graph can use")
            if base.kind == "construct" and base.name == "TTClock" and name == "root":
                return Reference("construct", "TTClock.root")
            raise self.refused(node, f"`{ast.unparse(node.value)}` has no attribute `{name}` in a graph")
        if isinstance(base, Arc):
            what = f"`.{name}` of an arc: a graph does not look into values"
            raise self.refused(node, what, f"write an SQ that returns `value.{name}`")
        if isinstance(base, Constant) and isinstance(base.value, TTClock) and name in ("name", "period", "epoch"):
            return Constant(getattr(base.value, name))
        raise self.refused(node, f"the attribute `.{name}` of a constant has no meaning in a graph")

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Value:
        self.scopes[0][node.target.id] = UNKNOWN  # no use of it is a problem of its own
        raise self.refused(node, *refused_form(node))

    def visit_Call(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute):
            method = self.method(node, node.func)
            if method is not None:
                return method
        callee = self.evaluate(node.func)
        if isinstance(callee, Reference):
            if callee.kind in ("function", "instruction"):
                return self.instance(node, callee).whole
            if callee.kind == "graph":
                return self.expand(node, callee)
            return self.builtin(node, callee.name) if callee.kind == "builtin" else self.construct(node, callee)
        arguments = self.arguments_of(node)
        if isinstance(callee, Foreign):
            self.problems.report(node.func, callee.what, callee.instead)
            # A function that it would call is no mistake of its own.
            arguments = [each for each in arguments if not self._is_function(each.place)]
        elif isinstance(callee, Arc):
            what = f"`{ast.unparse(node.func)}` is an arc, so it cannot be called"
            self.problems.report(node.func, what, "call an SQ on it")
        elif not isinstance(callee, Unknown):
            self.problems.report(node.func, f"`{ast.unparse(node.func)}` is a constant, so it cannot be called")
        self.evaluate_all(arguments)
        return UNKNOWN

    def _is_function(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name | ast.Attribute) and isinstance(self.evaluate(node), Reference)


_IN_PLACE_OF = {
    "map": "write `[f(x) for x in xs]`",
    "filter": "write `a if condition else b`, or an SQ that gives `TTEmpty()` for what is left out",
    "format": 'write `"{:.2f}".format(a)`',
    "print": f"{in_a_body('print')}, or `SYSLOG(a)`",
}
"""The remedy for builtins that a graph can do without."""


def defaults_of(home: Home, node: ast.expr) -> Expressions:
    """The evaluation of defaults in a signature of a module: their names mean what they do at the `def`."""
    evaluation = Expressions(home.problems, home.names)
    evaluation.scopes = [home.earlier.get(node, {})]
    return evaluation


BODY_ONLY = ("firing", "metric")
"""Functions that only bodies call."""


def reference_to(path: str) -> Reference | Foreign:
    """The construct, instruction or module at a dotted path of TickTalk, or what only bodies call."""
    construct = construct_at(path)
    if (last := path.rpartition(".")[2]) in BODY_ONLY:
        return Foreign(f"`{last}()` has a meaning in the body of an SQ only", "call it there")
    if construct is None and last in WRITTEN:
        return Reference("builtin", last)
    if construct is None:
        return Reference("module", path)
    return Reference("instruction" if construct in BY_NAME else "construct", construct)


_REFUSED: list[tuple[type[ast.AST] | tuple[type[ast.AST], ...], str, str]] = [
    (ast.Lambda, "a `lambda` has no meaning in a graph", "write a function with @SQify"),
    (ast.NamedExpr, "`:=` has no meaning in a graph", "bind the name in a statement of its own"),
    (ast.Await, "`await` has no meaning in a graph", "an SQ is called without `await`"),
    (
        (ast.Yield, ast.YieldFrom),
        "`yield` has no meaning in a graph",
        "write `return`; every arc that nobody consumes is an output",
    ),
    (ast.Starred, "`*` stands in a call, a list or a tuple only", ""),
    (
        ast.While,
        "`while` has no meaning in a graph: its end is not known at compile time",
        "write `for i in range(n):`, or put the loop into an SQ",
    ),
    ((ast.Try, ast.TryStar), "`try` has no meaning in a graph", "handle exceptions in the body of an SQ"),
    (
        (ast.FunctionDef, ast.AsyncFunctionDef),
        "`def {name}` inside a graph",
        "define it at module level, decorated with @SQify",
    ),
    (ast.ClassDef, "`class {name}` inside a graph", "define it at module level and use it in an SQ"),
    ((ast.Global, ast.Nonlocal), "a graph has no state", "write `global sq_state` in the body of an SQ"),
    (ast.Delete, "`del` has no meaning in a graph", "leave it out; a name can simply be bound again"),
    (ast.Raise, "`raise` has no meaning in a graph", "raise in the body of an SQ"),
    (ast.Assert, "`assert` has no meaning in a graph", "check values in the body of an SQ"),
    ((ast.AsyncFor, ast.AsyncWith), "`async` has no meaning in a graph", "write the plain statement"),
    (ast.Match, "`match` has no meaning in a graph", "write `a if condition else b`"),
    (ast.expr, "`{kind}` has no meaning in a graph", "put it into an SQ"),
    (ast.stmt, "`{kind}` has no meaning in a graph", "put it into the body of an SQ"),
]


def refused_form(node: ast.expr | ast.stmt) -> tuple[str, str]:
    """The reason why a graph has no such expression or statement, and the alternative."""
    what, instead = next((what, instead) for kinds, what, instead in _REFUSED if isinstance(node, kinds))
    return what.format(name=getattr(node, "name", ""), kind=type(node).__name__), instead
