"""Constructs that are called: clocks, deadlines and their plans B, single runs; and the arguments of `with` blocks."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from ticktalk.language import folding
from ticktalk.language.call_arguments import (
    COMMON_KEYWORDS,
    MOST_TICKS,
    Argument,
    Arguments,
    Attempts,
    Refused,
    parameters_named,
)
from ticktalk.language.draft import Arc, Constant, GraphDraft, PortDraft, SQDraft
from ticktalk.language.instances import Instances
from ticktalk.language.meanings import Foreign, Meaning, Reference, Unknown, Value
from ticktalk.time import ROOT, TTClock


class Constructs:
    """Evaluates constructs. A mistake is reported, then `Refused` is raised."""

    def __init__(self, arguments: Arguments, instances: Instances) -> None:
        self._arguments = arguments
        self._expressions = arguments.expressions
        self._instances = instances

    def call(self, node: ast.Call, callee: Reference) -> Value:
        """The value of the call of a construct."""
        arguments = self._arguments.of(node)
        match callee.name:
            case "TTClock.root":
                if arguments:
                    raise self._arguments.refused(arguments[0].where, "TTClock.root() takes no arguments")
                return Constant(ROOT)
            case "TTClock":
                return self._new_clock(node, arguments)
            case "TTFinishByOtherwise":
                return self._finish_by_otherwise(node, arguments)
            case "TTSingleRunTimeout":
                return self._single_run(node, arguments)
            case "TTConstraint" | "TTQuery" | "TTPlanB" | "TTDeadline":
                what = f"{callee.name} stands in a `with` only"
                raise self._arguments.refused(node, what, f"write `with {callee.name}(...):`")
            case "component":
                raise self._arguments.refused(
                    node,
                    "component() has a meaning in the body of an SQ only",
                    "call it there, and place SQs with `with TTConstraint(components=[...]):`",
                )
        if callee.kind == "module":
            what = f"`{ast.unparse(node.func)}` is nothing that a graph can call"
            raise self._arguments.refused(node.func, what)
        what = f"{callee.name} is a decorator"
        raise self._arguments.refused(node.func, what, f"write `@{callee.name}` above a `def`")

    def keywords_of(
        self, node: ast.Call, name: str, required: Sequence[str] = (), optional: Sequence[str] = ()
    ) -> dict[str, Argument]:
        """The arguments of a construct in a `with`, by parameter."""
        return self._arguments.bind(node, name, parameters_named(required, optional), self._arguments.of(node))

    def duration(self, clock: Argument, ticks: Argument) -> int:
        """A number of ticks of a clock, in root ticks."""
        return self._arguments.ticks(ticks, "the deadline", 0, least=0, clock=self._arguments.clock(clock))

    def _new_clock(self, node: ast.Call, arguments: list[Argument]) -> Value:
        self._arguments.evaluate(arguments)
        parameters = parameters_named(("name", "parent"), ("period", "epoch"))
        bound = self._arguments.bind(node, "TTClock", parameters, arguments)
        given: dict[str, Any] = {}
        for name, argument in bound.items():
            value = self._expressions.known(argument.given, argument.place, f"the {name} of a clock")
            if isinstance(value, Unknown):
                raise Refused
            given[name] = value.value
        if given["parent"] is None:
            raise self._arguments.refused(
                bound["parent"].where, "a clock needs a parent", "count it on `TTClock.root()`"
            )
        try:
            clock = TTClock(**given)
        except (TypeError, ValueError) as error:
            raise self._arguments.refused(node, str(error)) from None
        if not clock.name.strip() or folding.why_not_storable(clock.name) is not None:
            raise self._arguments.refused(node, "a clock needs a name that can be read")
        if clock.root_period >= MOST_TICKS or abs(clock.root_epoch) >= MOST_TICKS:
            raise self._arguments.refused(
                node, "the period and the epoch of a clock are less than 2**62 ticks of the root clock"
            )
        self._arguments.register(clock, node)
        return Constant(clock)

    # -- deadlines

    def _finish_by_otherwise(self, node: ast.Call, arguments: list[Argument]) -> Value:
        read = self._arguments
        parameters = parameters_named(("data", "TTTimeDeadline"), ("TTPlanB", "TTWillContinue"))
        try:
            bound = read.bind(node, "TTFinishByOtherwise", parameters, arguments, [*COMMON_KEYWORDS, "TTClock"])
        except Refused:
            read.evaluate([a for a in arguments if a.keyword is None or a.keyword.arg != "TTPlanB"])
            raise
        # Plan B's call is no value here: it is made last, and fires at the deadline only.
        plan = bound.get("TTPlanB")
        read.evaluate_for_sq([argument for argument in bound.values() if argument is not plan])
        attempts = Attempts()
        with attempts:
            will_continue = read.flag(bound.get("TTWillContinue"), "TTWillContinue", True)
        with attempts:
            clock = read.clock(bound.get("TTClock"))
        fields = self._instances.common(bound)
        with attempts:
            data = read.port(bound["data"])
        with attempts:
            deadline = read.port(bound["TTTimeDeadline"])
            if isinstance(deadline, Constant):
                deadline = Constant(read.ticks(bound["TTTimeDeadline"], "TTTimeDeadline", 0))
        plan_b = None if plan is None else self.plan_b(plan)
        attempts.check()
        will_continue = will_continue and plan_b is not None
        return self.deadline(node, data, deadline, plan_b, will_continue, clock=clock.name, **fields)

    def deadline(
        self,
        node: ast.expr,
        data: Arc | Constant,
        deadline: Arc | Constant,
        plan_b: SQDraft | None,
        will_continue: bool,
        **fields: Any,
    ) -> Value:
        """The SQ of a deadline; its plan B exists already. `fields`: further fields of the `TTSQ`."""
        made = self._arguments.draft.add(
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
            callee = self._expressions.evaluate(function)
            if isinstance(callee, Unknown):
                raise Refused
            if isinstance(callee, Reference) and callee.kind in ("function", "instruction"):
                return self._instances.make(expression, callee, plan_b=True)
            if isinstance(callee, Foreign):
                raise self._arguments.refused(function, callee.what, callee.instead)
        raise self._arguments.refused(
            argument.where, "TTPlanB takes a call such as g(x)", "write the call of an @SQify function"
        )

    def _single_run(self, node: ast.Call, arguments: list[Argument]) -> Value:
        parameters = parameters_named(("call", "TTTimeout"))
        bound = self._arguments.bind(node, "TTSingleRunTimeout", parameters, arguments, ["TTClock"])
        draft = self._arguments.draft
        target = bound["call"]
        before = len(draft.sqs)
        self._arguments.evaluate([target])
        clock = self._arguments.clock(bound.get("TTClock"))
        timeout = self._arguments.ticks(bound["TTTimeout"], "TTTimeout", 0, least=1, clock=clock)
        value = target.given
        if isinstance(value, Unknown):
            raise Refused
        called = made_since(draft, value, before)
        if not isinstance(target.place, ast.Call) or called is None:
            raise self._arguments.refused(
                target.where, "TTSingleRunTimeout takes a call such as g(x)", "write the call here"
            )
        called.sq.single_run = timeout
        return value


def made_since(draft: GraphDraft, value: Meaning, before: int) -> SQDraft | None:
    """The SQ whose whole value this is, if it was made after the first `before` ones."""
    if not isinstance(value, Arc) or value.path or value.kind != "value":
        return None
    source = value.source
    if not isinstance(source, SQDraft) or source.sq.trigger == "deadline":
        return None
    # It is among the last ones: only gates can follow the SQ of a call.
    return source if any(node is source for node in reversed(draft.sqs[before:])) else None
