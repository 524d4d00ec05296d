"""Constructs that are called: clocks, deadlines and their plans B, single runs."""

from __future__ import annotations

import ast
from fractions import Fraction
from typing import Any

from ticktalk.language import folding
from ticktalk.language.call_arguments import CALLABLE, COMMON_KEYWORDS, MOST_TICKS, OPTIONAL, Argument
from ticktalk.language.evaluation import Attempts, Foreign, Meaning, NoValue, Reference, Unknown, Value
from ticktalk.language.function_templates import Parameter
from ticktalk.language.graph_draft import Arc, Constant, PortDraft, SQDraft
from ticktalk.language.instances import Instances
from ticktalk.time import ROOT, TTClock


def _parameters(required: str, optional: str = "") -> list[Parameter]:
    return [*map(Parameter, required.split()), *(Parameter(name, OPTIONAL) for name in optional.split())]


_PARAMETERS = {
    "TTClock": _parameters("name", "parent period epoch"),
    "TTConstraint": _parameters("", "name components"),
    "TTQuery": _parameters("", "name components"),
    "TTDeadline": _parameters("TTClock deadline"),
    "TTPlanB": _parameters("plan_b"),
    "TTFinishByOtherwise": _parameters("data TTTimeDeadline", "TTPlanB TTWillContinue"),
    "TTSingleRunTimeout": _parameters("call TTTimeout"),
    "TTUnmatched": _parameters("result handler"),
}
_KEYWORDS = {
    "TTFinishByOtherwise": (*COMMON_KEYWORDS, "TTClock"), "TTSingleRunTimeout": ("TTClock",),
    "TTUnmatched": ("TTName", "TTPersistent"),
}  # fmt: skip
"""Further parameters, by keyword only."""


class Constructs(Instances):
    """Evaluates constructs."""

    def construct(self, node: ast.Call, callee: Reference) -> Value:
        """The value of the call of a construct; a module cannot be called."""
        arguments, name = self.arguments_of(node), callee.name
        match name:
            case "TTClock.root":
                if arguments:
                    raise self.refused(arguments[0].where, "TTClock.root() takes no arguments")
                return Constant(ROOT)
            case "TTClock":
                return self._new_clock(node, arguments)
            case "TTFinishByOtherwise":
                return self._finish_by_otherwise(node, arguments)
            case "TTSingleRunTimeout":
                return self._single_run(node, arguments)
            case "TTUnmatched":
                return self._unmatched(node, arguments)
            case "TTConstraint" | "TTQuery" | "TTPlanB" | "TTDeadline":
                raise self.refused(node, f"{name} stands in a `with` only", f"write `with {name}(...):`")
            case "component":
                instead = "call it there, and place SQs with `with TTConstraint(components=[...]):`"
                raise self.refused(node, "component() has a meaning in the body of an SQ only", instead)
        if callee.kind == "module":
            raise self.refused(node.func, f"`{ast.unparse(node.func)}` is nothing that a graph can call")
        raise self.refused(node.func, f"{name} is a decorator", f"write `@{name}` above a `def`")

    def bind_construct(self, node: ast.expr, name: str, arguments: list[Argument]) -> dict[str, Argument]:
        """The arguments of a construct by parameter."""
        return self.bind_arguments(node, name, _PARAMETERS[name], arguments, _KEYWORDS.get(name, ()))

    def _new_clock(self, node: ast.Call, arguments: list[Argument]) -> Value:
        self.evaluate_all(arguments)
        bound = self.bind_construct(node, "TTClock", arguments)
        given = {name: self.known(each.given, each.place, f"the {name} of a clock") for name, each in bound.items()}
        parent = given.get("parent")
        for name in ("period", "epoch"):
            if isinstance(parent, TTClock) and isinstance(given.get(name), folding.Duration | Fraction):
                given[name] = self.ticks_of(bound[name], name, parent)
        if given.keys() == {"name"} and isinstance(given["name"], str):
            if given["name"] != ROOT.name:
                what = f"a clock without a parent is the root clock, so {given['name']!r} ticks in microseconds"
                self.problems.report(node, what, "give a parent and a period if that is not meant", harmless=True)
            return Constant(ROOT)
        if given.get("parent") is None:
            where = bound["parent"].where if "parent" in bound else node
            raise self.refused(where, "a clock needs a parent", "count it on `TTClock.root()`")
        try:
            clock = TTClock(**given)
        except (TypeError, ValueError) as error:
            raise self.refused(node, str(error)) from None
        if not clock.name.strip() or folding.why_not_storable(clock.name) is not None:
            raise self.refused(node, "a clock needs a name that can be read")
        if clock.root_period >= MOST_TICKS or abs(clock.root_epoch) >= MOST_TICKS:
            what = "the period and the epoch of a clock are less than 2**62 ticks of the root clock"
            raise self.refused(node, what)
        self.register(clock, node)
        return Constant(clock)

    # -- deadlines

    def _finish_by_otherwise(self, node: ast.Call, arguments: list[Argument]) -> Value:
        try:
            bound = self.bind_construct(node, "TTFinishByOtherwise", arguments)
        except NoValue:
            self.evaluate_all([a for a in arguments if a.keyword is None or a.keyword.arg not in CALLABLE])
            raise
        # Plan B's call is no value here: it is made last, and fires at the deadline only.
        plan = bound.get("TTPlanB")
        self.evaluate_for_sq([argument for name, argument in bound.items() if name not in CALLABLE])
        attempts = Attempts()
        with attempts:
            will_continue = self.flag(bound.get("TTWillContinue"), "TTWillContinue", True)
        with attempts:
            clock = self.clock(bound.get("TTClock"))
        fields = self.common(bound)
        with attempts:
            data = self.to_port(bound["data"].given, bound["data"].place)
        with attempts:
            due = bound["TTTimeDeadline"]
            deadline = self.to_port(due.given, due.place)
            if isinstance(deadline, Constant):
                deadline = Constant(self.ticks(due, "TTTimeDeadline"))
                self._doubt_deadline(due)
        plan_b = None if plan is None else self.plan_b(plan)
        attempts.check()
        arc = self.deadline(node, data, deadline, plan_b, will_continue, clock=clock.name, **fields)
        self.handle_unmatched(bound, arc)
        return arc

    def _doubt_deadline(self, argument: Argument) -> None:
        """Warn of a duration where a point in time is wanted; as a plain number it may be meant."""
        value = self.fixed(argument, "TTTimeDeadline")
        if isinstance(value, folding.Duration):
            what = f"TTTimeDeadline is a point in time, but this is a duration: all data is due at tick {value}"
            instead = f"bind `tag, data = stream(...)` and write `tag + {ast.unparse(argument.place)}`"
            self.problems.report(argument.where, what, instead, harmless=True)

    def deadline(
        self,
        node: ast.expr,
        data: Arc | Constant,
        deadline: Arc | Constant,
        plan_b: SQDraft | None,
        will_continue: bool = True,
        **fields: Any,
    ) -> Arc:
        """The SQ of a deadline; its plan B exists already. `fields`: further fields of the `TTSQ`."""
        will_continue = will_continue and plan_b is not None
        made = self.draft.add(
            "TTFinishByOtherwise",
            node,
            [PortDraft("data", data), PortDraft("deadline", deadline)],
            trigger="deadline",
            plan_b=None if plan_b is None else plan_b.sq.name,
            will_continue=will_continue,
            **fields,
        )
        if plan_b is not None:
            made.plan_b = plan_b
            plan_b.is_silent = will_continue
            # They are placed together, so both need a host that meets the constraints of both.
            both = [*made.sq.constraints, *(c for c in plan_b.sq.constraints if c not in made.sq.constraints)]
            made.sq.constraints, plan_b.sq.constraints = both, list(both)
        return made.whole

    def plan_b(self, argument: Argument) -> SQDraft:
        """The SQ that fires when there is no data: of a call, or of a bare function called without arguments."""
        expression = argument.place
        function = expression.func if isinstance(expression, ast.Call) else expression
        if argument.value is None and isinstance(function, ast.Name | ast.Attribute):
            callee = self.evaluate(function)
            if isinstance(callee, Unknown):
                raise NoValue
            if isinstance(callee, Reference) and callee.kind in ("function", "instruction"):
                return self.instance(expression, callee, "plan_b")
            if isinstance(callee, Foreign):
                raise self.refused(function, callee.what, callee.instead)
            if isinstance(callee, Reference) and callee.name == "TTSingleRunTimeout":
                bound = self.bind_construct(expression, callee.name, self.arguments_of(expression))
                timeout = self._timeout(bound)
                made = self.plan_b(bound["call"])
                made.sq.single_run = timeout
                return made
        what = "TTPlanB takes a call such as g(x)"
        raise self.refused(argument.where, what, "write the call of an @SQify function")

    def _single_run(self, node: ast.Call, arguments: list[Argument]) -> Value:
        bound = self.bind_construct(node, "TTSingleRunTimeout", arguments)
        target = bound["call"]
        before = len(self.draft.sqs)
        self.evaluate_all([target])
        timeout = self._timeout(bound)
        value = target.given
        if isinstance(value, Unknown):
            raise NoValue
        called = self.made_since(value, before)
        if not isinstance(target.place, ast.Call) or called is None or self._is_graph(target.place.func):
            what = "TTSingleRunTimeout takes a call such as g(x)"
            raise self.refused(target.where, what, "write the call here")
        called.sq.single_run = timeout
        return value

    def _unmatched(self, node: ast.Call, arguments: list[Argument]) -> Value:
        """The result of a handler: of the tokens that leave the ports of the SQ that computes a value."""
        bound = self.bind_construct(node, "TTUnmatched", arguments)
        self.evaluate_all([bound["result"]])
        value = bound["result"].given
        if isinstance(value, Unknown):
            raise NoValue
        if not isinstance(value, Arc) or not isinstance(value.source, SQDraft):
            what = "TTUnmatched takes the result of a call, some of whose inputs may find no partner"
            raise self.refused(bound["result"].where, what, "write `both = f(a, b)`, then `TTUnmatched(both, handler)`")
        return self.handler(bound["handler"], value, **self.common(bound)).whole

    def _timeout(self, bound: dict[str, Argument]) -> int:
        return self.ticks(bound["TTTimeout"], "TTTimeout", least=1, clock=self.clock(bound.get("TTClock")))

    def _is_graph(self, function: ast.expr) -> bool:
        callee = self.evaluate(function) if isinstance(function, ast.Name | ast.Attribute) else None
        return isinstance(callee, Reference) and callee.kind == "graph"

    def made_since(self, value: Meaning, before: int) -> SQDraft | None:
        """The SQ whose whole value this is, if it was made after the first `before` ones."""
        if not isinstance(value, Arc) or value.path or value.kind != "value":
            return None
        source = value.source
        if not isinstance(source, SQDraft) or source.sq.trigger == "deadline":
            return None
        # It is among the last ones: only gates can follow the SQ of a call.
        return source if any(node is source for node in reversed(self.draft.sqs[before:])) else None
