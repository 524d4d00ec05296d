"""Expressions of a graph body: folded where everything is known at compile time, else made into SQs.

This file finds the meaning of names and attributes, and the method that evaluates each kind of expression.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import Any

from ticktalk.instructions import BY_NAME
from ticktalk.language import folding
from ticktalk.language.calls import Calls
from ticktalk.language.displays import Displays
from ticktalk.language.draft import Arc, Constant, GraphDraft
from ticktalk.language.evaluation import ModuleNames
from ticktalk.language.imports import KNOWN, construct_at
from ticktalk.language.meanings import UNKNOWN, Foreign, Meaning, Reference, Unknown, Value
from ticktalk.language.operators import Operators
from ticktalk.problems import Problems, did_you_mean
from ticktalk.time import TTClock


class Expressions(Displays, Operators):
    """Evaluates all expressions; see `Evaluation`.

    Attributes:
        calls: evaluates calls; afterwards holds the clocks and templates in use.
    """

    def __init__(
        self,
        problems: Problems,
        module: ModuleNames,
        draft: GraphDraft | None,
        local_names: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(problems, module, draft, local_names)
        self.calls = Calls(self)

    def evaluate(self, node: ast.expr) -> Meaning:
        """The value of an expression, or the function, module or construct that it names."""
        method = _EVALUATE.get(type(node))
        if method is None:
            return self.problem(node, *_refused_expression(node))
        return method(self, node)

    def _name(self, node: ast.Name) -> Meaning:
        for scope in reversed(self.scopes):
            if node.id in scope:
                return scope[node.id]
        found = self.module.lookup(node.id)
        # `avg = avg(x)` can only mean the function; a graph is not run, so there is no local variable in its way.
        if node.id in self.local_names and not isinstance(found, Reference) and (found or node.id not in KNOWN):
            return self.problem(node, f"`{node.id}` is used before it is bound in the graph")
        if found is not None:
            return found
        if node.id in KNOWN:
            return reference_to(node.id)
        if node.id in folding.BUILTINS:
            return Reference("builtin", node.id)
        if hasattr(builtins, node.id):
            return Foreign(
                f"`{node.id}` has no meaning in a graph", "call it in the body of an SQ: a graph only joins SQs"
            )
        visible = {*self.module.names(), *KNOWN, *folding.BUILTINS, *(name for scope in self.scopes for name in scope)}
        return self.problem(node, f"`{node.id}` is not defined", did_you_mean(node.id, visible))

    def _attribute(self, node: ast.Attribute) -> Meaning:
        base = self.evaluate(node.value)
        if isinstance(base, Unknown):
            return UNKNOWN
        if isinstance(base, Reference):
            if base.kind == "module":
                path = f"{base.name}.{node.attr}"
                return reference_to(path)
            if base.kind == "construct" and base.name == "TTClock" and node.attr == "root":
                return Reference("construct", "TTClock.root")
            return self.problem(node, f"`{ast.unparse(node.value)}` has no attribute `{node.attr}` in a graph")
        if isinstance(base, Foreign):
            return base
        if isinstance(base, Arc):
            return self.problem(
                node,
                f"`.{node.attr}` of an arc: a graph does not look into values",
                f"write an SQ that returns `value.{node.attr}`",
            )
        if isinstance(base, Constant) and isinstance(base.value, TTClock) and node.attr in ("name", "period", "epoch"):
            return Constant(getattr(base.value, node.attr))
        return self.problem(node, f"the attribute `.{node.attr}` of a constant has no meaning in a graph")

    def _call(self, node: ast.Call) -> Value:
        return self.calls.call(node)


def reference_to(path: str) -> Reference:
    """The construct, instruction or module at a dotted path of TickTalk."""
    construct = construct_at(path)
    if construct is None:
        return Reference("module", path)
    return Reference("instruction" if construct in BY_NAME else "construct", construct)


def _refused_expression(node: ast.expr) -> tuple[str, str]:
    match node:
        case ast.Lambda():
            return "a `lambda` has no meaning in a graph", "write a function with @SQify"
        case ast.NamedExpr():
            return "`:=` has no meaning in a graph", "bind the name in a statement of its own"
        case ast.Await():
            return "`await` has no meaning in a graph", "an SQ is called without `await`"
        case ast.Yield() | ast.YieldFrom():
            return "`yield` has no meaning in a graph", "write `return`; every arc that nobody consumes is an output"
        case ast.Starred():
            return "`*` stands in a call, a list or a tuple only", ""
        case _:
            return f"`{type(node).__name__}` has no meaning in a graph", "put it into an SQ"


_EVALUATE: dict[type[ast.expr], Callable[[Expressions, Any], Meaning]] = {
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Constant: Expressions._constant,
    ast.List: Expressions._list,
    ast.Tuple: Expressions._tuple,
    ast.Dict: Expressions._dict,
    ast.Set: Expressions._set,
    ast.ListComp: Expressions._list_comprehension,
    ast.GeneratorExp: Expressions._list_comprehension,
    ast.SetComp: Expressions._set_comprehension,
    ast.DictComp: Expressions._dict_comprehension,
    ast.BinOp: Expressions._binary,
    ast.UnaryOp: Expressions._unary,
    ast.BoolOp: Expressions._boolean,
    ast.Compare: Expressions._compare,
    ast.IfExp: Expressions._conditional,
    ast.Subscript: Expressions._subscript,
    ast.Slice: Expressions._slice_element,
    ast.JoinedStr: Expressions._f_string,
    ast.Call: Expressions._call,
}
