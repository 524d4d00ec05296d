"""Instances: each call of a function template or of an instruction in a graph is an SQ of its own."""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import Any

from ticktalk.defaults import interval_width
from ticktalk.graph.constants import encode_constant
from ticktalk.graph.sq import TTConstraintSpec
from ticktalk.instructions import BY_NAME, REQUIRED
from ticktalk.language import folding
from ticktalk.language.call_arguments import (
    COMMON_KEYWORDS,
    OPTIONAL,
    Argument,
    Arguments,
    Attempts,
    Refused,
)
from ticktalk.language.draft import Constant, PortDraft, SQDraft
from ticktalk.language.meanings import Reference
from ticktalk.language.templates import STREAM_KEYWORDS, Parameter, Template
from ticktalk.time import TTClock


class Instances:
    """Makes the SQs of calls. A mistake is reported, then `Refused` is raised.

    Attributes:
        used: the templates of which there are instances, by name.
    """

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._expressions = arguments.expressions
        self.used: dict[str, Template] = {}

    def make(self, node: ast.expr, callee: Reference, plan_b: bool = False) -> SQDraft:
        """A new instance of a function or instruction, called at `node` (without arguments, if that is no call)."""
        arguments = self._arguments.of(node)
        self._arguments.evaluate_for_sq(arguments)
        if callee.template is not None:
            return self._function(node, callee.template, arguments, plan_b)
        return self._instruction(node, callee.name, arguments, plan_b)

    def common(self, bound: dict[str, Argument]) -> dict[str, Any]:
        """The fields that `TTName` and `TTPersistent` set; an erroneous one is reported and left out."""
        fields: dict[str, Any] = {}
        with suppress(Refused):
            if "TTName" in bound:
                text = self._arguments.fixed(bound["TTName"], "TTName")
                if not isinstance(text, str) or not text or any(c.isspace() or c in "/\\" for c in text):
                    raise self._arguments.refused(
                        bound["TTName"].where,
                        f"{folding.shown(text)} is no name for an SQ",
                        "TTName is a string without spaces or slashes",
                    )
                fields["pinned"] = text
        with suppress(Refused):
            fields["persistent"] = self._arguments.flag(bound.get("TTPersistent"), "TTPersistent", False)
        return fields

    # -- functions of the program

    def _function(self, node: ast.expr, template: Template, arguments: list[Argument], plan_b: bool) -> SQDraft:
        keywords = [*COMMON_KEYWORDS, *(STREAM_KEYWORDS if template.stream else ())]
        if plan_b and template.stream:
            what = f"`{template.name}` is a stream, so it cannot be a plan B"
            raise self._arguments.refused(node, what, "write an @SQify function")
        bound = self._arguments.bind(node, template.name, template.parameters, arguments, keywords)
        draft = self._arguments.draft
        ports: list[PortDraft] = []
        values: dict[str, Any] = {}  # of parameters that are fixed at compile time
        attempts = Attempts()
        for parameter in template.parameters:
            argument = bound.get(parameter.name)
            if argument is None:
                continue
            with attempts:
                if parameter.default is None:
                    port = self._arguments.port(argument)
                    ports.append(PortDraft(parameter.name, port, keyword=parameter.keyword_only))
                else:
                    values[parameter.name] = self._arguments.fixed(argument, parameter.name)
        parameters = {name: encode_constant(value) for name, value in values.items()}
        fields = self.common(bound)
        if template.stream:
            with attempts:
                fields.update(self._stream_settings(node, template, bound))
        attempts.check()
        for name in template.defaults.keys() & bound.keys() - {"TTClock"}:
            parameters[name] = encode_constant(self._arguments.fixed(bound[name], name))
        self.used[template.name] = template
        made = draft.add(
            template.name,
            node,
            ports,
            at_deadline=plan_b,
            body=True,
            parameters=parameters,
            stateful=template.stateful,
            full_token=template.full_token,
            **fields,
        )
        made.is_source = template.stream
        for component in self._components(template, values):
            if component not in made.sq.constraints:
                made.sq.constraints.append(component)
        return made

    def _components(self, template: Template, values: dict[str, Any]) -> list[TTConstraintSpec]:
        """The components that the body asks for, given the values of its parameters."""
        names = list(template.components)
        for name in template.component_parameters:
            if name in values:
                value = values[name]
            else:
                default = next((p.default for p in template.parameters if p.name == name), None)
                value = None if default is None else self._default(default)
            if isinstance(value, str) and value not in names:
                names.append(value)
        return [TTConstraintSpec(components=[name]) for name in names]

    def _default(self, default: ast.expr) -> Any:
        """The default of a parameter if it is known at compile time, which it need not be; else None."""
        value = self._expressions.aside().evaluate(default)
        return value.value if isinstance(value, Constant) else None

    def _stream_settings(self, node: ast.expr, template: Template, bound: dict[str, Argument]) -> dict[str, Any]:
        """The fields that `TTPeriod` and the like make, from the call or else the signature."""
        read = self._arguments
        given = {name: Argument(default) for name, default in template.defaults.items()}
        given.update((name, bound[name]) for name in STREAM_KEYWORDS if name in bound)
        if "TTPeriod" not in given:
            what = f"the stream `{template.name}` has no period"
            raise read.refused(node, what, "give `TTPeriod=`, in ticks of `TTClock=`")
        width, older = "TTDataIntervalWidth", "TTDataValidityInterval"
        if width in bound and older in bound:
            what = f"`{older}` is an older name of `{width}`: the width is given twice"
            raise read.refused(bound[older].where, what, "give it once")
        clock = read.clock(given.get("TTClock"))
        fields: dict[str, Any] = {"trigger": "grid", "clock": clock.name}
        fields.update(self._grid(clock, given["TTPeriod"], given.get("TTPhase")))
        # Under either name, the call goes before the signature.
        name = older if older in bound or width not in given else width
        usual = interval_width(fields["period"])
        fields["width"] = read.ticks(given.get(name), name, usual, least=1, clock=clock)
        first = "TTFirstInstanceDelay"
        fields["first_delay"] = read.ticks(given.get(first), first, 0, least=0, clock=clock)
        if "TTStamp" in given:
            stamp = fields["stamp"] = read.fixed(given["TTStamp"], "TTStamp")
            if stamp not in ("instant", "body"):
                what = f'TTStamp is "instant" or "body", not {folding.shown(stamp)}'
                raise read.refused(given["TTStamp"].where, what)
        return fields

    def _grid(self, clock: TTClock, period: Argument, phase: Argument | None) -> dict[str, int]:
        """Period and phase in root ticks."""
        attempts = Attempts()
        with attempts:
            root_period = self._arguments.ticks(period, "TTPeriod", 0, least=1, clock=clock)
        with attempts:
            offset = self._arguments.ticks(phase, "TTPhase", 0)
        attempts.check()
        ticks = root_period // clock.root_period
        if not 0 <= offset < ticks:
            raise self._arguments.refused(
                (phase or period).where,
                f"TTPhase must be at least 0 and less than TTPeriod, but it is {offset} and the period is {ticks}",
                f"write `TTPhase={offset % ticks}`",
            )
        return {"period": root_period, "phase": (clock.root_epoch + offset * clock.root_period) % root_period}

    # -- instructions

    def _instruction(self, node: ast.expr, name: str, arguments: list[Argument], plan_b: bool) -> SQDraft:
        instruction = BY_NAME[name]
        parameters = [
            *map(Parameter, instruction.inputs),
            *(Parameter(key, None if value is REQUIRED else OPTIONAL) for key, value in instruction.settings.items()),
        ]
        bound = self._arguments.bind(node, name, parameters, arguments, COMMON_KEYWORDS)
        draft = self._arguments.draft
        ports: list[PortDraft] = []
        attempts = Attempts()
        for index, parameter in enumerate(instruction.inputs):
            argument = bound[parameter]
            with attempts:
                value = self._arguments.port(argument)
                if instruction.singly and isinstance(value, Constant):
                    # Its ports fire one by one, so a constant is a token of its own, sent once.
                    value = draft.add("RETURN", argument.place, [PortDraft("0", value)]).whole
                ports.append(PortDraft(instruction.port_name(index), value))
        fields = self.common(bound)
        fields.update(self._instruction_settings(name, bound))
        attempts.check()
        return draft.add(name, node, ports, at_deadline=plan_b, **fields)

    def _instruction_settings(self, name: str, bound: dict[str, Argument]) -> dict[str, Any]:
        """The fields that an instruction's settings make."""
        settings = BY_NAME[name].settings
        fields: dict[str, Any] = {}
        clock = self._arguments.clock(bound.get("TTClock"))
        if "TTClock" in settings:
            fields["clock"] = clock.name
        if "delay" in settings:
            fields["instruction"] = {"delay": self._arguments.ticks(bound.get("delay"), "delay", 0)}
        if "const" in settings:
            fields["instruction"] = {"const": encode_constant(self._arguments.fixed(bound["const"], "const"))}
        if "TTPeriod" in settings:
            attempts = Attempts()
            with attempts:
                order = self._arguments.ticks(bound.get("order"), "order", 0)
            grid = self._grid(clock, bound["TTPeriod"], bound.get("TTPhase"))
            attempts.check()
            if order not in (0, 1):
                raise self._arguments.refused(bound["order"].where, f"order is 0 (hold) or 1 (linear), not {order}")
            fields.update(grid, instruction={"order": order}, width=grid["period"])
        return fields
