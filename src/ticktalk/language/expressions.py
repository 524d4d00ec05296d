"""Expressions of a graph body: folded where everything is known at compile time, else made into SQs.

This file finds the meaning of names, attributes and calls, and the method that evaluates each kind of expression.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import Any

from ticktalk.instructions import BY_NAME
from ticktalk.language import folding
from ticktalk.language.builtin_calls import BuiltinCalls
from ticktalk.language.constructs import Constructs
from ticktalk.language.displays import Displays
from ticktalk.language.draft import Arc, Constant
from ticktalk.language.evaluation import Refused
from ticktalk.language.imports import KNOWN, construct_at
from ticktalk.language.meanings import UNKNOWN, Foreign, Meaning, Reference, Unknown, Value
from ticktalk.language.operators import Operators
from ticktalk.source_problems import Problems, did_you_mean
from ticktalk.time import TTClock


class Expressions(Displays, Operators, BuiltinCalls, Constructs):
    """Evaluates all expressions; see `Evaluation`."""

    def evaluate(self, node: ast.expr) -> Meaning:
        """The value of an expression, or the function, module or construct that it names; never refused."""
        method = _EVALUATE.get(type(node))
        try:
            if method is None:
                raise self.refused(node, *refused_form(node))
            return method(self, node)
        except Refused:
            return UNKNOWN

    def module_constant(self, node: ast.expr) -> Any:
        """The value of an expression at module level; None if it is not known at compile time, which is no problem."""
        value = Expressions(Problems("", ""), self.module).evaluate(node)
        return value.value if isinstance(value, Constant) else None

    def _name(self, node: ast.Name) -> Meaning:
        name = node.id
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        found = self.module.get(name)
        # `avg = avg(x)` can only mean the function; a graph is not run, so there is no local variable in its way.
        if name in self.local_names and not isinstance(found, Reference) and (found or name not in KNOWN):
            raise self.refused(node, f"`{name}` is used before it is bound in the graph")
        if found is not None:
            return found
        if name in KNOWN:
            return reference_to(name)
        if name in folding.BUILTINS:
            return Reference("builtin", name)
        if hasattr(builtins, name):
            what = f"`{name}` has no meaning in a graph"
            return Foreign(what, "call it in the body of an SQ: a graph only joins SQs")
        visible = {*self.module, *KNOWN, *folding.BUILTINS, *(name for scope in self.scopes for name in scope)}
        raise self.refused(node, f"`{name}` is not defined", did_you_mean(name, visible))

    def _attribute(self, node: ast.Attribute) -> Meaning:
        base, name = self.evaluate(node.value), node.attr
        if isinstance(base, Unknown | Foreign):
            return base
        if isinstance(base, Reference):
            if base.kind == "module":
                return reference_to(f"{base.name}.{name}")
            if base.kind == "construct" and base.name == "TTClock" and name == "root":
                return Reference("construct", "TTClock.root")
            raise self.refused(node, f"`{ast.unparse(node.value)}` has no attribute `{name}` in a graph")
        if isinstance(base, Arc):
            what = f"`.{name}` of an arc: a graph does not look into values"
            raise self.refused(node, what, f"write an SQ that returns `value.{name}`")
        if isinstance(base, Constant) and isinstance(base.value, TTClock) and name in ("name", "period", "epoch"):
            return Constant(getattr(base.value, name))
        raise self.refused(node, f"the attribute `.{name}` of a constant has no meaning in a graph")

    def _call(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute):
            method = self.method(node, node.func)
            if method is not None:
                return method
        callee = self.evaluate(node.func)
        if isinstance(callee, Reference):
            if callee.kind in ("function", "instruction"):
                return self.instance(node, callee).whole
            return self.builtin(node, callee.name) if callee.kind == "builtin" else self.construct(node, callee)
        if isinstance(callee, Foreign):
            self.problems.report(node.func, callee.what, callee.instead)
        elif isinstance(callee, Arc):
            what = f"`{ast.unparse(node.func)}` is an arc, so it cannot be called"
            self.problems.report(node.func, what, "call an SQ on it")
        elif not isinstance(callee, Unknown):
            self.problems.report(node.func, f"`{ast.unparse(node.func)}` is a constant, so it cannot be called")
        self.evaluate_all(self.arguments_of(node))
        return UNKNOWN


def reference_to(path: str) -> Reference:
    """The construct, instruction or module at a dotted path of TickTalk."""
    construct = construct_at(path)
    if construct is None:
        return Reference("module", path)
    return Reference("instruction" if construct in BY_NAME else "construct", construct)


_REFUSED: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lambda: ("a `lambda` has no meaning in a graph", "write a function with @SQify"),
    ast.NamedExpr: ("`:=` has no meaning in a graph", "bind the name in a statement of its own"),
    ast.Await: ("`await` has no meaning in a graph", "an SQ is called without `await`"),
    ast.Yield: ("`yield` has no meaning in a graph", "write `return`; every arc that nobody consumes is an output"),
    ast.Starred: ("`*` stands in a call, a list or a tuple only", ""),
    ast.While: (
        "`while` has no meaning in a graph: its end is not known at compile time",
        "write `for i in range(n):`, or put the loop into an SQ",
    ),
    ast.Try: ("`try` has no meaning in a graph", "handle exceptions in the body of an SQ"),
    ast.FunctionDef: ("`def {name}` inside a graph", "define it at module level, decorated with @SQify"),
    ast.ClassDef: ("`class {name}` inside a graph", "define it at module level and use it in an SQ"),
    ast.Global: ("a graph has no state", "write `global sq_state` in the body of an SQ"),
    ast.Delete: ("`del` has no meaning in a graph", "leave it out; a name can simply be bound again"),
    ast.Raise: ("`raise` has no meaning in a graph", "raise in the body of an SQ"),
    ast.Assert: ("`assert` has no meaning in a graph", "check values in the body of an SQ"),
    ast.AsyncFor: ("`async` has no meaning in a graph", "write the plain statement"),
    ast.Match: ("`match` has no meaning in a graph", "write `a if condition else b`"),
}
"""Why a graph has no such expression or statement, and what to write instead."""
_SAME: dict[type[ast.AST], type[ast.AST]] = {
    ast.YieldFrom: ast.Yield,
    ast.TryStar: ast.Try,
    ast.AsyncFunctionDef: ast.FunctionDef,
    ast.Nonlocal: ast.Global,
    ast.AsyncWith: ast.AsyncFor,
}


def refused_form(node: ast.expr | ast.stmt) -> tuple[str, str]:
    """What is wrong with an expression or statement that a graph does not have, and what to write instead."""
    kind = type(node)
    other = "put it into an SQ" if isinstance(node, ast.expr) else "put it into the body of an SQ"
    what, instead = _REFUSED.get(_SAME.get(kind, kind), (f"`{kind.__name__}` has no meaning in a graph", other))
    return what.replace("{name}", getattr(node, "name", "")), instead


_EVALUATE: dict[type[ast.expr], Callable[[Expressions, Any], Meaning]] = {
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Constant: Expressions._constant,
    ast.List: Expressions._list,
    ast.Tuple: Expressions._tuple,
    ast.Dict: Expressions._dict,
    ast.Set: Expressions._set,
    ast.ListComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._comprehension,
    ast.SetComp: Expressions._comprehension,
    ast.DictComp: Expressions._comprehension,
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
