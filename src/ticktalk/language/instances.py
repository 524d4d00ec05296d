"""Instances: each call of a function template or of an instruction in a graph is an SQ of its own."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ticktalk.defaults import interval_width
from ticktalk.graph.constants import encode_constant
from ticktalk.graph.sq import Trigger, TTConstraintSpec
from ticktalk.instructions import BY_NAME, REQUIRED, Instruction
from ticktalk.language import folding
from ticktalk.language.call_arguments import BODY_KEYWORDS, COMMON_KEYWORDS, OPTIONAL, Argument, Arguments
from ticktalk.language.evaluation import Attempts, Foreign, Home, NoValue, Reference, Unknown
from ticktalk.language.function_templates import STREAM_KEYWORDS, Parameter, Template
from ticktalk.language.graph_draft import Arc, Constant, PortDraft, SQDraft
from ticktalk.time import ROOT, TTClock
from ticktalk.time.grid import Period, repeats_after


class Instances(Arguments):
    """Makes the SQs of calls."""

    def instance(self, node: ast.expr, callee: Reference, trigger: Trigger = "arrival") -> SQDraft:
        """A new SQ of a function or instruction, called at `node` (without arguments, if that is no call)."""
        arguments = self.arguments_of(node)
        self.evaluate_for_sq(arguments)
        if callee.template is not None and callee.home is not None:
            return self._function(node, callee.template, callee.home, arguments, trigger)
        return self._instruction(node, BY_NAME[callee.name], arguments, trigger)

    def common(self, bound: dict[str, Argument]) -> dict[str, Any]:
        """The fields that `TTName` and `TTPersistent` set; an erroneous one is reported and left out."""
        fields: dict[str, Any] = {}
        with suppress(NoValue):
            if "TTName" in bound:
                text = self.fixed(bound["TTName"], "TTName")
                if not isinstance(text, str) or not text or any(c.isspace() or c in "/\\" for c in text):
                    what = f"{folding.shown(text)} is no name for an SQ"
                    raise self.refused(bound["TTName"].where, what, "TTName is a string without spaces or slashes")
                fields["name"] = text
        with suppress(NoValue):
            fields["persistent"] = self.flag(bound.get("TTPersistent"), "TTPersistent")
        return fields

    # -- functions of the program

    def _function(
        self, node: ast.expr, template: Template, home: Home, arguments: list[Argument], trigger: Trigger
    ) -> SQDraft:
        keywords = [*COMMON_KEYWORDS, *BODY_KEYWORDS, *(STREAM_KEYWORDS if template.stream else ())]
        if trigger == "plan_b" and template.stream:
            what = f"`{template.name}` is a stream, so it cannot be a plan B"
            raise self.refused(node, what, "write an @SQify function")
        if template.node.args.vararg is not None:  # that is told at its `def`, so not what it would have taken
            by_place = [argument for argument in arguments if argument.keyword is None]
            most = sum(not parameter.keyword_only for parameter in template.parameters)
            arguments = [*by_place[:most], *(each for each in arguments if each.keyword is not None)]
        bound = self.bind_arguments(node, template.name, template.parameters, arguments, keywords)
        ports: list[PortDraft] = []
        values: dict[str, Any] = {}  # of parameters that are fixed at compile time
        attempts = Attempts()
        for parameter in template.parameters:
            if (argument := bound.get(parameter.name)) is None:
                continue
            with attempts:
                if parameter.default is None:
                    port = self.to_port(argument.given, argument.place)
                    self._doubt_nothing(argument, port, parameter.name)
                    ports.append(PortDraft(parameter.name, port, keyword=parameter.keyword_only))
                else:
                    instead = f"remove the default of `{parameter.name}` in the `def`, to make it an input"
                    values[parameter.name] = folding.settled(self.fixed(argument, parameter.name, instead))
        fields = {"trigger": trigger, **self.common(bound)}
        if template.stream:
            with attempts:
                fields.update(self._stream_settings(node, template, home, bound))
        with attempts:
            clock = self.draft.clocks.get(fields.get("clock", ""), ROOT)
            fields["timeout"] = self.ticks(bound.get("TTTimeout"), "TTTimeout", least=1, clock=clock)
        attempts.check()
        parameters = {name: encode_constant(value) for name, value in values.items()}
        for name in template.defaults:
            if name in bound and name != "TTClock":
                parameters[name] = encode_constant(self.fixed(bound[name], name))
        made = self._add_function(node, template, home, ports, values, parameters=parameters, **fields)
        made.is_source = template.stream
        made.places = {name: argument.where for name, argument in bound.items()}
        self.handle_unmatched(bound, made.whole)
        return made

    def _doubt_nothing(self, argument: Argument, value: Arc | Constant, name: str) -> None:
        """Warn where an SQ is given the result of a function without `return`: it is often forgotten."""
        source = value.source if isinstance(value, Arc) and value.kind == "value" else None
        if isinstance(source, SQDraft) and source.template is not None and not source.template.gives:
            giver = source.template
            what = f"`{giver.name}` returns nothing, so `{name}` is always None"
            place = f"{giver.file}:{giver.node.lineno}"
            instead = f"write `return` in `{giver.name}` ({place}), or `-> None` if that is meant"
            self.problems.report(argument.where, what, instead, harmless=True)

    def _add_function(
        self,
        node: ast.expr,
        template: Template,
        home: Home,
        ports: list[PortDraft],
        values: dict[str, Any],
        **fields: Any,
    ) -> SQDraft:
        self.draft.used[template.key] = template
        made = self.draft.add(
            template.key,
            node,
            ports,
            called=template.name,
            body=True,
            stateful=template.stateful,
            full_token=template.full_token,
            **fields,
        )
        made.template = template
        for component in self._components(template, home, values):
            constraint = TTConstraintSpec(components=[component])
            if constraint not in made.sq.constraints:
                made.sq.constraints.append(constraint)
        return made

    def handle_unmatched(self, bound: dict[str, Argument], arc: Arc) -> None:
        """Make the SQ of `TTUnmatched=`, if it is given."""
        if (argument := bound.get("TTUnmatched")) is not None:
            self.handler(argument, arc)

    def handler(self, argument: Argument, arc: Arc, **fields: Any) -> SQDraft:
        """The SQ of a handler, which gets the tokens that leave the ports of the SQ of `arc` unused."""
        callee = self.evaluate(argument.place) if argument.value is None else argument.value
        instead = "write `def handler(value, interval, missing):`, decorated with @SQify, and give its name"
        if isinstance(callee, Unknown):
            raise NoValue
        if isinstance(callee, Foreign):
            raise self.refused(argument.where, callee.what, callee.instead)
        if not isinstance(callee, Reference) or callee.template is None or callee.home is None:
            raise self.refused(argument.where, "TTUnmatched takes the name of an @SQify function", instead)
        template, inputs = callee.template, [each for each in callee.template.parameters if each.default is None]
        if len(inputs) != 3 or inputs[-1].keyword_only or template.full_token or template.stream:
            what = f"`{callee.name}` is no handler: it gets a value, its interval, and the names of the missing inputs"
            raise self.refused(argument.where, what, instead)
        port = PortDraft("unmatched", arc.source.arc("unmatched"))
        return self._add_function(argument.place, template, callee.home, [port], {}, spread=True, **fields)

    def _components(self, template: Template, home: Home, values: dict[str, Any]) -> list[str]:
        """The components that the body asks for, given the values of its parameters."""
        names = list(template.components)
        defaults = {parameter.name: parameter.default for parameter in template.parameters}
        for name in template.component_parameters:
            default = defaults.get(name)
            value = values.get(name)
            if name not in values and default is not None:
                found = self.at_home(replace(home, problems=home.problems.beside()), default)
                value = found.value if isinstance(found, Constant) else None
            if isinstance(value, str) and value not in names:
                names.append(value)
        return names

    def _stream_settings(
        self, node: ast.expr, template: Template, home: Home, bound: dict[str, Argument]
    ) -> dict[str, Any]:
        """The fields that `TTPeriod` and the like make, from the call or else the signature."""
        given = {name: bound[name] for name in STREAM_KEYWORDS if name in bound}
        for name in template.defaults.keys() - given.keys():
            default = template.defaults[name]
            # A default in another file is shown where the stream is called.
            given[name] = Argument(default if home.problems is self.problems else node)
            given[name].value = self.at_home(home, default)
        if "TTPeriod" not in given:
            what = f"the stream `{template.name}` has no period"
            raise self.refused(node, what, "say how often it fires, such as `TTPeriod=ms(100)`")
        width, older = "TTDataIntervalWidth", "TTDataValidityInterval"
        if width in bound and older in bound:
            what = f"`{older}` is an older name of `{width}`: the width is given twice"
            raise self.refused(bound[older].where, what, "give it once")
        clock = self.clock(given.get("TTClock"))
        period, grid = self._grid(clock, given)
        fields: dict[str, Any] = {"trigger": "grid", "clock": clock.name, **grid}
        # Under either name, the call goes before the signature.
        name = older if older in bound or width not in given else width
        fields["width"] = self.ticks(given.get(name), name, interval_width(period), least=1, clock=clock)
        first = "TTFirstInstanceDelay"
        fields["first_delay"] = self.ticks(given.get(first), first, least=0, clock=clock)
        for name, choices in (("TTStamp", ("instant", "body")), ("TTMissed", ("skip", "catch-up"))):
            if name in given:
                choice = fields[name.removeprefix("TT").lower()] = self.fixed(given[name], name)
                if choice not in choices:
                    what = f'{name} is "{choices[0]}" or "{choices[1]}", not {folding.shown(choice)}'
                    raise self.refused(given[name].where, what)
        return fields

    def _grid(self, clock: TTClock, given: Mapping[str, Argument]) -> tuple[Period, dict[str, int]]:
        """The period in root ticks; the fields of the period and the phase."""
        phase = given.get("TTPhase")
        attempts = Attempts()
        with attempts:
            period = self.period(given["TTPeriod"], "TTPeriod", least=1, clock=clock)
        with attempts:
            offset = self.ticks(phase, "TTPhase", clock=clock)
        attempts.check()
        if not 0 <= offset < period:
            # As they were counted: in ticks of the clock, if these are whole.
            tick = clock.root_period if offset % clock.root_period == period % clock.root_period == 0 else 1
            at, ticks = offset // tick, period / tick if period % tick else period // tick
            what = f"TTPhase must be at least 0 and less than TTPeriod, but it is {at} and the period is {ticks}"
            raise self.refused((phase or given["TTPeriod"]).where, what, f"write `TTPhase={int(at % ticks)}`")
        first = (clock.root_epoch + offset) % repeats_after(period)
        return period, {"period": period.numerator, "per": period.denominator, "phase": first}

    # -- instructions

    def _instruction(self, node: ast.expr, row: Instruction, arguments: list[Argument], trigger: Trigger) -> SQDraft:
        parameters = [
            *map(Parameter, row.inputs),
            *(Parameter(key, None if value is REQUIRED else OPTIONAL) for key, value in row.settings.items()),
        ]
        bound = self.bind_arguments(node, row.name, parameters, arguments, COMMON_KEYWORDS)
        draft = self.draft
        ports: list[PortDraft] = []
        attempts = Attempts()
        for index, name in enumerate(row.inputs):
            with attempts:
                value = self.to_port(bound[name].given, bound[name].place)
                if row.singly and isinstance(value, Constant):
                    # Its ports fire one by one, so a constant is a token of its own, sent once.
                    value = draft.add("RETURN", bound[name].place, [PortDraft("0", value)]).whole
                ports.append(PortDraft(row.port_name(index), value))
        fields = {"trigger": trigger, **self.common(bound), **self._instruction_settings(row, bound)}
        attempts.check()
        made = draft.add(row.name, node, ports, **fields)
        self.handle_unmatched(bound, made.whole)
        return made

    def _instruction_settings(self, row: Instruction, bound: dict[str, Argument]) -> dict[str, Any]:
        """The fields that an instruction's settings make."""
        fields: dict[str, Any] = {}
        clock = self.clock(bound.get("TTClock"))
        if "TTClock" in row.settings:
            fields["clock"] = clock.name
        if "delay" in row.settings:
            fields["instruction"] = {"delay": self.ticks_of(bound.get("delay"), "delay", clock)}
        if "const" in row.settings:
            fields["instruction"] = {"const": encode_constant(self.fixed(bound["const"], "const"))}
        if "TTPeriod" in row.settings:
            attempts = Attempts()
            with attempts:
                order = self.ticks(bound.get("order"), "order")
            with attempts:
                gap = self.ticks(bound.get("TTMaxGap"), "TTMaxGap", least=1, clock=clock)
            period, grid = self._grid(clock, bound)
            attempts.check()
            if order not in (0, 1):
                raise self.refused(bound["order"].where, f"order is 0 (hold) or 1 (linear), not {order}")
            fields.update(grid, instruction={"order": order}, width=int(period))
            if gap:
                fields["instruction"]["TTMaxGap"] = gap
        return fields
