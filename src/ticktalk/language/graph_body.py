"""The body of the `@GRAPHify` function: its statements, evaluated once at compile time."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ticktalk.graph.constants import encode_constant
from ticktalk.graph.sq import TTConstraintSpec
from ticktalk.language import folding
from ticktalk.language.bindings import bound_names
from ticktalk.language.call_arguments import Argument
from ticktalk.language.evaluation import UNKNOWN, GiveUp, Listing, NoValue, Reference, Unknown, Value
from ticktalk.language.expressions import Expressions, defaults_of, reference_to, refused_form
from ticktalk.language.function_templates import (
    check_body,
    is_ticktalk,
    our_names,
    parameters_of,
    refuse_missing_modules,
)
from ticktalk.language.graph_draft import Arc, Constant, GraphDraft, PortDraft, SQDraft, TooLarge
from ticktalk.language.graphs_in_graphs import Ending, Frame, GraphCalls, local_names
from ticktalk.mapping.ensembles import check_ensemble_name
from ticktalk.time import TTClock

_MAKES_AN_SQ = (ast.Call, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Subscript, ast.IfExp)
"""Expressions whose value an SQ made just now computes; a name or a display may lead to one made before."""


class GraphBody(GraphCalls):
    """Evaluates the body of a graph: its SQs go to `draft`, its mistakes to the problems."""

    def __init__(self, graph: Reference) -> None:
        node, home = graph.node, graph.home
        assert node is not None and home is not None
        problems = home.problems
        self.node = node
        check_body(node, "@GRAPHify", problems)
        parameters = parameters_of(node, "@GRAPHify", problems)
        inputs = [parameter.name for parameter in parameters]
        if not inputs and node.args.vararg is None and node.args.kwarg is None:
            problems.report(node, f"the graph `{node.name}` has no input", f"write `def {node.name}(trigger):`")
        # Evaluation goes on without inputs, to find further mistakes.
        draft = GraphDraft(inputs or ["trigger"])
        super().__init__(problems, home.names, draft)
        self.local_names = local_names(node)
        self._deadlines: list[int | None] = []  # of the `with` blocks around; None: an erroneous one
        self._plans: list[tuple[Argument, Frame]] = []
        self._plans_used: set[int] = set()  # plans with a deadline around or inside them
        draft.file = home.file
        self.files[home.file] = problems
        for parameter, source in zip(parameters, draft.inputs, strict=False):
            if parameter.default is not None:
                defaults = defaults_of(home, parameter.default)
                source.made.default = self._default(defaults, parameter.name, parameter.default)
        self.scopes[0].update((source.made.name, source.whole) for source in draft.inputs)

    def _default(self, defaults: Expressions, name: str, node: ast.expr) -> list[Any] | None:
        try:
            value = defaults.known(defaults.data(node), node, f"the default of `{name}`")
            self.check_storable(value, node, f"the default of the input `{name}`")
            return [encode_constant(value)]
        except NoValue:
            return None
        except (GiveUp, RecursionError, MemoryError):
            self.problems.report(node, f"the default of `{name}` cannot be computed")
            return None

    def run(self) -> None:
        """Evaluate all statements."""
        with suppress(GiveUp):
            self.block(self.node.body)
        first: dict[str, SQDraft] = {}
        for made in self.draft.sqs:
            other = first.setdefault(made.sq.name, made)
            if other is not made:
                what = f"two SQs are called `{made.sq.name}`; the other one is in line {other.sq.line}"
                self.files[made.sq.file].report(made.place, what, "give one of them another `TTName`")

    def block(self, statements: Sequence[ast.stmt]) -> Ending | None:
        for statement in statements:
            try:
                ending = self._statement(statement)
            except NoValue:
                continue
            except (RecursionError, MemoryError):
                self.draft.branch = None
                del self.scopes[1:]
                self.problems.report(statement, "this statement is nested too deeply", "bind its parts to names")
                self._bind_unknown(statement)
                continue
            except TooLarge as error:
                self.problems.report(statement, str(error), "put loops into SQs")
                raise GiveUp from None
            if ending is not None:
                return ending
        return None

    def _statement(self, statement: ast.stmt) -> Ending | None:
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
                with self._entered(statement.items):
                    return self.block(statement.body)
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
                self.problems.report(statement, *refused_form(statement))
                self._bind_unknown(statement)
        return None

    def _bind_unknown(self, statement: ast.stmt) -> None:
        self.scopes[0].update(dict.fromkeys(bound_names(statement), UNKNOWN))

    # -- assignments and returns

    def _value(self, node: ast.expr) -> tuple[Value, Arc | None]:
        """The value of a statement, with the tag arc if it is a stream's call; deadlines around it are made."""
        before = len(self.draft.sqs)
        value = self.data(node)
        made = self.made_since(value, before)
        if made is None or not isinstance(node, _MAKES_AN_SQ):
            return value, None
        tag = made.arc("tag") if made.is_source and isinstance(node, ast.Call) else None
        if self.tag_of_graph is not None and self.tag_of_graph[0] is node:
            tag = self.tag_of_graph[1]
        if self._deadlines:
            value = self.seen(self._by_deadline, node, made)
        return value, tag

    def _by_deadline(self, node: ast.expr, made: SQDraft) -> Arc:
        """The deadline SQ that a `with TTDeadline(...)` asks for around `made`."""
        ticks = self._deadlines[-1]
        if ticks is None:
            raise NoValue
        # The argument is evaluated anew, so that every deadline has a plan B of its own.
        plan_b = None
        if self._plans:
            plan, frame = self._plans[-1]
            with self.within(frame):
                plan_b = self.plan_b(Argument(plan.place))
        return self.deadline(node, made.whole, made.arc("tag"), plan_b, offset=ticks)

    def _assign(self, targets: Sequence[ast.expr], node: ast.expr) -> None:
        value, tag = self._value(node)
        for target in targets:
            if not isinstance(target, ast.Tuple | ast.List):
                value = self._settle(value, node)
                self.assign(target, value)
            elif tag is None:
                self.assign(target, value)
            else:
                self._assign_stream(target.elts, target, value, tag)

    def _assign_stream(self, elements: list[ast.expr], target: ast.expr, value: Value, tag: Arc) -> None:
        values: list[Value] = [tag, value]
        if len(elements) != 2 or any(isinstance(element, ast.Starred) for element in elements):
            names = ", ".join(ast.unparse(element) for element in elements) + "," * (len(elements) == 1)
            what = "the call of a stream gives its tag and its data, two values"
            self.problems.report(target, what, f"write `tag, ({names}) = ...` to unpack the data")
            values = [UNKNOWN] * len(elements)
        for element, each in zip(elements, values, strict=True):
            self.assign(element, each)

    def _settle(self, value: Value, node: ast.expr) -> Value:
        """A tuple display that is bound or stands alone is a value, so with arcs in it, it is an SQ."""
        if isinstance(value, Listing) and value.is_tuple and isinstance(node, ast.Tuple):
            return self.seen(self.to_port, value, node)
        return value

    def _augment(self, statement: ast.AugAssign) -> None:
        target = statement.target
        if isinstance(target, ast.Attribute):
            raise self.refused(target, "an attribute cannot be set in a graph", "bind a name")
        load: ast.expr
        if isinstance(target, ast.Name):
            load = ast.copy_location(ast.Name(target.id, ast.Load()), target)
        else:
            load = ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), target)
        left = self.data(load)
        right = self.data(statement.value)
        if isinstance(left, Listing) and not left.is_tuple and isinstance(statement.op, ast.Add):
            # As in Python, `xs += ...` changes the list that other names may mean too.
            items = self.items(right, statement.value)
            self.check_change(left, statement)
            self.spend(statement, len(items))
            left.items.extend(items)
            return
        self.assign(target, self.seen(self.binary, statement, statement.op, left, right))

    def _return(self, node: ast.expr) -> None:
        found = self._value(node)
        if self.depth:
            self.returned = found
            return
        value = self.seen(self.to_port, found[0], node)
        if isinstance(value, Constant) or (isinstance(value, Arc) and not isinstance(value.source, SQDraft)):
            value = self.draft.add("RETURN", node, [PortDraft("0", value)]).whole
        if isinstance(value, Arc):
            value.returned = True

    # -- blocks

    def _loop(self, statement: ast.For) -> Ending | None:
        if statement.orelse:
            self.problems.report(statement.orelse[0], "`else` of a `for` has no meaning in a graph", "leave it out")
        for item in self.items_seen(self.data(statement.iter), statement.iter):
            self.spend(statement)
            self.assign(statement.target, item)
            ending = self.block(statement.body)
            if ending == "return":
                return ending
            if ending == "break":
                break
        return None

    def _if(self, statement: ast.If) -> Ending | None:
        value = self.data(statement.test)
        truth = self.truth(value, statement.test)
        if truth is not None:
            return self.block(statement.body if truth else statement.orelse)
        if isinstance(value, Arc):
            what = "an `if` statement needs a condition that is known at compile time, but this is an arc"
            self.problems.report(statement.test, what, "write `x = a if condition else b`")
        # Both sides are looked at, so that their problems show and their names are bound.
        self.block(statement.body)
        self.block(statement.orelse)
        return None

    @contextmanager
    def _entered(self, items: Sequence[ast.withitem]) -> Iterator[None]:
        constraints, deadlines, plans = [*self.draft.constraints], [*self._deadlines], [*self._plans]
        try:
            for item in items:
                self._enter(item)
            if self._deadlines:
                self._plans_used.update(id(plan) for plan, _ in self._plans)
            yield
        finally:
            for plan, _ in self._plans[len(plans) :]:
                if id(plan) not in self._plans_used:
                    instead = "write `with TTDeadline(clock, ticks):` inside, around the calls it stands in for"
                    self.problems.report(plan.place, "a plan B without a deadline never fires", instead)
            self.draft.constraints, self._deadlines, self._plans = constraints, deadlines, plans

    def _enter(self, item: ast.withitem) -> None:
        node = item.context_expr
        value: Value = UNKNOWN
        callee = self.evaluate(node.func) if isinstance(node, ast.Call) else None
        name = callee.name if isinstance(callee, Reference) and callee.kind == "construct" else ""
        if isinstance(node, ast.Call) and name in ("TTConstraint", "TTQuery", "TTPlanB", "TTDeadline"):
            with suppress(NoValue):
                self._enter_construct(node, name)
            if item.optional_vars is not None:
                self.problems.report(item.optional_vars, f"{name} binds nothing", "leave out `as ...`")
        elif not isinstance(callee, Unknown):
            value = self.data(node)
            if not isinstance(value, Unknown | Constant) or (
                isinstance(value, Constant) and not isinstance(value.value, TTClock)
            ):
                what = "a `with` in a graph takes TTClock, TTConstraint, TTQuery, TTPlanB or TTDeadline"
                self.problems.report(node, what, "put other resources into the body of an SQ")
                value = UNKNOWN
        if item.optional_vars is not None:
            self.assign(item.optional_vars, value)

    def _enter_construct(self, node: ast.Call, name: str) -> None:
        if name == "TTDeadline":
            self._deadlines.append(None)
        given = self.bind_construct(node, name, self.arguments_of(node))
        if name == "TTDeadline":
            clock = self.clock(given["TTClock"])
            self._deadlines[-1] = self.ticks(given["deadline"], "the deadline", least=0, clock=clock)
        elif name == "TTPlanB":
            self._plans.append((given["plan_b"], self.frame()))
        else:
            self._constrain(node, name, given)

    def _constrain(self, node: ast.Call, construct: str, given: dict[str, Argument]) -> None:
        texts: dict[str, list[str]] = {"name": [], "components": []}
        for name, argument in given.items():
            value = self.known(self.data(argument.place), argument.place, f"`{name}`")
            if value is None:
                continue
            items = [value] if isinstance(value, str) else value
            wrong = not isinstance(items, list | tuple | set) or not all(isinstance(i, str) and i for i in items)
            if wrong or folding.why_not_storable(items) is not None:
                what = f"`{name}` is a string or a list of strings, not {folding.shown(value)}"
                raise self.refused(argument.where, what)
            texts[name] = sorted(items) if isinstance(items, set) else list(items)
        try:
            for text in texts["name"]:
                check_ensemble_name(text)
        except ValueError as error:
            raise self.refused(given["name"].where, str(error)) from None
        if not texts["name"] and not texts["components"]:
            instead = f'write `{construct}(name="...")` or `components=["..."]`'
            raise self.refused(node, f"{construct} says nothing", instead)
        self.draft.constraints = [*self.draft.constraints, TTConstraintSpec(texts["name"], texts["components"])]

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        refuse_missing_modules(statement, self.problems)
        ours = our_names(statement)
        for alias in statement.names:
            bound = alias.asname or (alias.name if isinstance(statement, ast.ImportFrom) else alias.name.split(".")[0])
            if bound in ours:
                self.scopes[-1][bound] = reference_to(ours[bound])
            elif not (isinstance(statement, ast.ImportFrom) and is_ticktalk(statement.module)):
                found = self.module.resolve(statement, alias, True)
                if found is None:
                    what = f"`{alias.name}` is imported in a graph, where it has no meaning"
                    self.problems.report(statement, what, "import it at module level or in the body of an SQ")
                self.scopes[-1][bound] = UNKNOWN if found is None else found
