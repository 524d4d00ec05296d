"""Calls in a graph body: this file finds out which of the others evaluates a call.

arguments.py       the arguments of all calls
instances.py       functions of the program and instructions: SQs
constructs.py      clocks, deadlines, single runs
builtin_calls.py   builtins, and methods of constants and compile-time lists
"""

from __future__ import annotations

import ast

from ticktalk.language.builtin_calls import BuiltinCalls
from ticktalk.language.call_arguments import Arguments, Refused
from ticktalk.language.constructs import Constructs
from ticktalk.language.draft import Arc
from ticktalk.language.evaluation import Evaluation
from ticktalk.language.instances import Instances
from ticktalk.language.meanings import UNKNOWN, Foreign, Reference, Unknown, Value


class Calls:
    """Evaluates the calls of a graph body.

    Attributes:
        arguments: reads their arguments; afterwards holds the clocks in use.
        instances: makes SQs; afterwards holds the templates in use.
        constructs: evaluates constructs, also the ones in a `with`.
    """

    def __init__(self, expressions: Evaluation) -> None:
        self.expressions = expressions
        self.arguments = Arguments(expressions)
        self.instances = Instances(self.arguments)
        self.constructs = Constructs(self.arguments, self.instances)
        self._builtins = BuiltinCalls(self.arguments)

    def call(self, node: ast.Call) -> Value:
        """The value of a call."""
        try:
            return self._value(node)
        except Refused:
            return UNKNOWN

    def _value(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute):
            method = self._builtins.method(node, node.func)
            if method is not None:
                return method
        callee = self.expressions.evaluate(node.func)
        if isinstance(callee, Reference):
            if callee.kind in ("function", "instruction"):
                return self.instances.make(node, callee).whole
            if callee.kind == "builtin":
                return self._builtins.function(node, callee.name)
            return self.constructs.call(node, callee)
        if not isinstance(callee, Unknown):
            shown = ast.unparse(node.func)
            if isinstance(callee, Foreign):
                self.expressions.problem(node.func, callee.what, callee.instead)
            elif isinstance(callee, Arc):
                what = f"`{shown}` is an arc, so it cannot be called"
                self.expressions.problem(node.func, what, "call an SQ on it")
            else:
                self.expressions.problem(node.func, f"`{shown}` is a constant, so it cannot be called")
        self.arguments.evaluate(self.arguments.of(node))
        return UNKNOWN
