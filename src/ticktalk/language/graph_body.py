"""The body of the `@GRAPHify` function: its statements, evaluated once at compile time."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

from ticktalk.graph.constants import encode_constant
from ticktalk.graph.sq import TTConstraintSpec
from ticktalk.language import folding
from ticktalk.language.call_arguments import Argument, Refused
from ticktalk.language.constructs import made_since
from ticktalk.language.draft import Arc, Constant, GraphDraft, PortDraft, SQDraft, TooLarge
from ticktalk.language.evaluation import GiveUp
from ticktalk.language.expressions import Expressions, reference_to
from ticktalk.language.imports import is_ticktalk, ticktalk_names
from ticktalk.language.meanings import UNKNOWN, Listing, Reference, Unknown, Value
from ticktalk.language.scope import ModuleScope, bound_names
from ticktalk.language.templates import FunctionNode, check_body, parameters_of
from ticktalk.problems import Problems
from ticktalk.time import TTClock

_Ending = Literal["return", "break", "continue"]

_MAKES_AN_SQ = (ast.Call, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Subscript, ast.IfExp)
"""Expressions whose value an SQ made just now computes; a name or a display may lead to one made before."""


class GraphBody:
    """Evaluates the body of a graph.

    Attributes:
        draft: the graph that is made.
        calls: evaluates calls; afterwards holds the clocks and templates in use.
    """

    def __init__(self, node: FunctionNode, scope: ModuleScope, problems: Problems) -> None:
        self.node = node
        self.problems = problems
        check_body(node, "@GRAPHify", problems)
        parameters = parameters_of(node, "@GRAPHify", problems)
        inputs = [parameter.name for parameter in parameters]
        if not inputs and node.args.vararg is None and node.args.kwarg is None:
            problems.report(node, f"the graph `{node.name}` has no input", f"write `def {node.name}(trigger):`")
        # Evaluation goes on without inputs, to find further mistakes.
        self.draft = GraphDraft(inputs or ["trigger"])
        local_names = frozenset(name for statement in node.body for name in bound_names(statement))
        self.expressions = Expressions(problems, scope, self.draft, local_names)
        self.calls = self.expressions.calls
        self._deadlines: list[int | None] = []
        self._plans: list[Argument] = []
        self._plans_used: set[int] = set()  # plans with a deadline around or inside them
        defaults = Expressions(problems, scope, None)
        for parameter in parameters:
            if parameter.default is not None:
                try:
                    value = defaults.lower(defaults.data(parameter.default), parameter.default)
                except (GiveUp, RecursionError, MemoryError):
                    problems.report(parameter.default, f"the default of `{parameter.name}` cannot be computed")
                    continue
                if isinstance(value, Constant):
                    reason = folding.why_not_storable(value.value)
                    if reason is None:
                        self.draft.defaults[parameter.name] = encode_constant(value.value)
                    else:
                        problems.report(parameter.default, f"the default of the input `{parameter.name}`: {reason}")
                elif value is None:
                    problems.report(parameter.default, f"the default of the input `{parameter.name}` is a constant")
        for source in self.draft.inputs:
            self.expressions.scopes[0][source.name] = source.whole

    def evaluate(self) -> None:
        """Evaluate the body: its SQs go to `draft`, its mistakes to the problems."""
        try:
            self._block(self.node.body)
        except GiveUp:
            pass
        for name, source in self._pinned_twice():
            self.problems.report(
                source.place, f"two SQs are called `{name}`; the other one is in line {self._first[name]}",
                "give one of them another `TTName`",
            )  # fmt: skip

    def _pinned_twice(self) -> Iterator[tuple[str, SQDraft]]:
        self._first: dict[str, int] = {}
        for node in self.draft.sqs:
            if node.sq.name in self._first:
                yield node.sq.name, node
            self._first.setdefault(node.sq.name, node.sq.line)

    def _block(self, statements: Sequence[ast.stmt]) -> _Ending | None:
        for statement in statements:
            try:
                ending = self._statement(statement)
            except (RecursionError, MemoryError):
                self._unwind()
                self.problems.report(statement, "this statement is nested too deeply", "bind its parts to names")
                self._bind_unknown(statement)
                continue
            except TooLarge as error:
                self.problems.report(statement, str(error), "put loops into SQs")
                raise GiveUp from None
            if ending is not None:
                return ending
        return None

    def _unwind(self) -> None:
        self.draft.branch = None
        del self.expressions.scopes[1:]

    def _statement(self, statement: ast.stmt) -> _Ending | None:
        match statement:
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self._assign([target], value)
            case ast.AugAssign():
                self._augment(statement)
            case ast.Expr(value=value):
                if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
                    self._settle(self._value(value)[0], value)
            case ast.For():
                return self._loop(statement)
            case ast.With():
                return self._with(statement)
            case ast.If():
                return self._if(statement)
            case ast.Return(value=value):
                if value is not None:
                    self._return(value)
                return "return"
            case ast.Pass():
                pass
            case ast.Break():
                return "break"
            case ast.Continue():
                return "continue"
            case ast.Import() | ast.ImportFrom():
                self._import(statement)
            case _:
                self.problems.report(statement, *_refused_statement(statement))
                self._bind_unknown(statement)
        return None

    def _bind_unknown(self, statement: ast.stmt) -> None:
        for name in bound_names(statement):
            self.expressions.scopes[0][name] = UNKNOWN

    # -- assignments and returns

    def _value(self, node: ast.expr) -> tuple[Value, Arc | None]:
        """The value of a statement, with the tag arc if it is a stream's call; deadlines around it are made."""
        before = len(self.draft.sqs)
        value = self.expressions.data(node)
        made = made_since(self.draft, value, before)
        if made is None or not isinstance(node, _MAKES_AN_SQ):
            return value, None
        tag = made.tag if made.is_source and isinstance(node, ast.Call) else None
        if self._deadlines:
            value = self._by_deadline(node, made)
        return value, tag

    def _by_deadline(self, node: ast.expr, made: SQDraft) -> Value:
        """The deadline SQ that a `with TTDeadline(...)` asks for around `made`."""
        innermost = self._deadlines[-1]
        if innermost is None:
            return UNKNOWN
        ticks = innermost
        constructs, plan_b = self.calls.constructs, None
        if self._plans:
            try:
                # The argument is evaluated anew, so that every deadline has a plan B of its own.
                plan_b = constructs.plan_b(Argument(self._plans[-1].place))
            except Refused:
                return UNKNOWN
        return constructs.deadline(node, made.whole, made.tag, plan_b, plan_b is not None, offset=ticks)

    def _assign(self, targets: Sequence[ast.expr], node: ast.expr) -> None:
        value, tag = self._value(node)
        for target in targets:
            if isinstance(target, ast.Tuple | ast.List):
                if tag is not None:
                    self._assign_stream(target, value, tag)
                else:
                    self.expressions.assign(target, value)
            else:
                value = self._settle(value, node)
                self.expressions.assign(target, value)

    def _assign_stream(self, target: ast.Tuple | ast.List, value: Value, tag: Arc) -> None:
        elements = target.elts
        if len(elements) == 2 and not any(isinstance(element, ast.Starred) for element in elements):
            self.expressions.assign(elements[0], tag)
            self.expressions.assign(elements[1], value)
            return
        names = ", ".join(ast.unparse(element) for element in elements)
        self.problems.report(
            target,
            "the call of a stream gives its tag and its data, two values",
            f"write `tag, ({names}{',' if len(elements) == 1 else ''}) = ...` to unpack the data",
        )
        for element in elements:
            self.expressions.assign(element, UNKNOWN)

    def _settle(self, value: Value, node: ast.expr) -> Value:
        """A tuple display that is bound or stands alone is a value, so with arcs in it, it is an SQ."""
        if isinstance(value, Listing) and value.is_tuple and isinstance(node, ast.Tuple):
            return self.expressions.to_port(value, node)
        return value

    def _augment(self, statement: ast.AugAssign) -> None:
        target = statement.target
        if isinstance(target, ast.Attribute):
            self.problems.report(target, "an attribute cannot be set in a graph", "bind a name")
            return
        load: ast.expr
        if isinstance(target, ast.Name):
            load = ast.copy_location(ast.Name(target.id, ast.Load()), target)
        else:
            load = ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), target)
        left = self.expressions.data(load)
        right = self.expressions.data(statement.value)
        if isinstance(left, Listing) and not left.is_tuple and isinstance(statement.op, ast.Add):
            # As in Python, `xs += ...` changes the list that other names may mean too.
            items = None if isinstance(right, Unknown) else self.expressions.items(right, statement.value)
            if items is not None and self.expressions.may_change(left, statement):
                self.expressions.spend(statement, len(items))
                left.items.extend(items)
            return
        self.expressions.assign(target, self.expressions.binary(statement, statement.op, left, right))

    def _return(self, node: ast.expr) -> None:
        value = self.expressions.to_port(self._value(node)[0], node)
        if isinstance(value, Unknown):
            return
        if isinstance(value, Constant) or not isinstance(value.source, SQDraft):
            value = self.draft.add("RETURN", node, [PortDraft("0", value)]).whole
        value.returned = True

    # -- blocks

    def _loop(self, statement: ast.For) -> _Ending | None:
        if statement.orelse:
            self.problems.report(statement.orelse[0], "`else` of a `for` has no meaning in a graph", "leave it out")
        for item in self.expressions.loop_items(statement.iter):
            self.expressions.spend(statement)
            self.expressions.assign(statement.target, item)
            ending = self._block(statement.body)
            if ending == "return":
                return ending
            if ending == "break":
                break
        return None

    def _if(self, statement: ast.If) -> _Ending | None:
        value = self.expressions.data(statement.test)
        truth = self.expressions.truth(value, statement.test)
        if isinstance(truth, bool):
            return self._block(statement.body if truth else statement.orelse)
        if truth is None:
            self.problems.report(
                statement.test,
                "an `if` statement needs a condition that is known at compile time, but this is an arc",
                "write `x = a if condition else b`",
            )
        # Both sides are looked at, so that their problems show and their names are bound.
        self._block(statement.body)
        self._block(statement.orelse)
        return None

    def _with(self, statement: ast.With) -> _Ending | None:
        with self._entered(statement.items):
            return self._block(statement.body)

    @contextmanager
    def _entered(self, items: Sequence[ast.withitem]) -> Iterator[None]:
        constraints = list(self.draft.constraints)
        deadlines, plans = list(self._deadlines), list(self._plans)
        try:
            for item in items:
                self._enter(item)
            if self._deadlines:
                self._plans_used.update(id(plan) for plan in self._plans)
            yield
        finally:
            for plan in self._plans[len(plans) :]:
                if id(plan) not in self._plans_used:
                    self.problems.report(
                        plan.place, "a plan B without a deadline never fires",
                        "write `with TTDeadline(clock, ticks):` inside, around the calls it stands in for",
                    )  # fmt: skip
            self.draft.constraints = constraints
            self._deadlines, self._plans = deadlines, plans

    def _enter(self, item: ast.withitem) -> None:
        node, name = item.context_expr, None
        if isinstance(node, ast.Call):
            callee = self.expressions.evaluate(node.func)
            if isinstance(callee, Unknown):
                if item.optional_vars is not None:
                    self.expressions.assign(item.optional_vars, UNKNOWN)
                return
            name = callee.name if isinstance(callee, Reference) and callee.kind == "construct" else None
        if isinstance(node, ast.Call) and name in ("TTConstraint", "TTQuery", "TTPlanB", "TTDeadline"):
            with suppress(Refused):
                if name in ("TTConstraint", "TTQuery"):
                    self._constrain(node, name)
                elif name == "TTDeadline":
                    self._deadlines.append(None)
                    self._deadlines[-1] = self._deadline_block(node)
                else:
                    self._plans.append(
                        self.calls.constructs.keywords_of(node, "TTPlanB", required=("plan_b",))["plan_b"]
                    )
            if item.optional_vars is not None:
                self.problems.report(item.optional_vars, f"{name} binds nothing", "leave out `as ...`")
                self.expressions.assign(item.optional_vars, UNKNOWN)
            return
        value = self.expressions.data(node)
        if not isinstance(value, Unknown) and not (isinstance(value, Constant) and isinstance(value.value, TTClock)):
            self.problems.report(
                node, "a `with` in a graph takes TTClock, TTConstraint, TTQuery, TTPlanB or TTDeadline",
                "put other resources into the body of an SQ",
            )  # fmt: skip
            value = UNKNOWN
        if item.optional_vars is not None:
            self.expressions.assign(item.optional_vars, value)

    def _constrain(self, node: ast.Call, construct: str) -> None:
        given = self.calls.constructs.keywords_of(node, construct, optional=("name", "components"))
        texts: dict[str, list[str]] = {"name": [], "components": []}
        for name, argument in given.items():
            value = self.expressions.known(self.expressions.data(argument.place), argument.place, f"`{name}`")
            if isinstance(value, Unknown):
                return
            if value.value is None:
                continue
            items = [value.value] if isinstance(value.value, str) else value.value
            wrong = not isinstance(items, list | tuple | set) or not all(isinstance(i, str) and i for i in items)
            if wrong or folding.why_not_storable(items) is not None:
                shown = folding.shown(value.value)
                self.problems.report(argument.where, f"`{name}` is a string or a list of strings, not {shown}")
                return
            texts[name] = sorted(items) if isinstance(items, set) else list(items)
        if not texts["name"] and not texts["components"]:
            self.problems.report(
                node, f"{construct} says nothing", f'write `{construct}(name="...")` or `components=["..."]`'
            )
            return
        self.draft.constraints = [*self.draft.constraints, TTConstraintSpec(texts["name"], texts["components"])]

    def _deadline_block(self, node: ast.Call) -> int:
        """The root ticks that a `TTDeadline` allows.

        Raises:
            Refused: it is wrong, which is reported.
        """
        constructs = self.calls.constructs
        given = constructs.keywords_of(node, "TTDeadline", required=("TTClock", "deadline"))
        return constructs.duration(given["TTClock"], given["deadline"])

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        ours = ticktalk_names(statement)
        for alias in statement.names:
            bound = alias.asname or alias.name.split(".")[0]
            if bound in ours:
                self.expressions.scopes[-1][bound] = reference_to(ours[bound])
            elif not (isinstance(statement, ast.ImportFrom) and is_ticktalk(statement.module)):
                self.problems.report(
                    statement, f"`{alias.name}` is imported in a graph, where it has no meaning",
                    "import it at module level or in the body of an SQ",
                )  # fmt: skip
                self.expressions.scopes[-1][bound] = UNKNOWN


_REFUSED: dict[type[ast.stmt], tuple[str, str]] = {
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
_REFUSED[ast.TryStar], _REFUSED[ast.AsyncFunctionDef] = _REFUSED[ast.Try], _REFUSED[ast.FunctionDef]
_REFUSED[ast.Nonlocal], _REFUSED[ast.AsyncWith] = _REFUSED[ast.Global], _REFUSED[ast.AsyncFor]
"""Why a graph has no such statement, and what to write instead."""


def _refused_statement(statement: ast.stmt) -> tuple[str, str]:
    other = f"`{type(statement).__name__}` has no meaning in a graph", "put it into the body of an SQ"
    what, instead = _REFUSED.get(type(statement), other)
    return what.replace("{name}", getattr(statement, "name", "")), instead
