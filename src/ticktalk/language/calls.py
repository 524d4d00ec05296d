"""Calls in a graph body: instances of functions and instructions, deadlines, clocks, builtins of constants."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ticktalk.defaults import interval_width
from ticktalk.graph.constants import encode_constant
from ticktalk.graph.sq import TTConstraintSpec
from ticktalk.instructions import BY_NAME, REQUIRED
from ticktalk.language import folding
from ticktalk.language.expressions import Expressions
from ticktalk.language.folding import CannotFold
from ticktalk.language.network import Arc, Constant, Network, Node, Port
from ticktalk.language.templates import STREAM_KEYWORDS, Parameter, Template
from ticktalk.language.values import UNKNOWN, Data, Foreign, Listing, Reference, Unknown, Value
from ticktalk.problems import Place, Problems, did_you_mean
from ticktalk.time import ROOT, TTClock
from ticktalk.time.clock import whole_tick

MOST_TICKS = 2**62
"""Ticks of the root clock are less than this: 146,000 years."""
COMMON_KEYWORDS = ("TTName", "TTPersistent")
_ALL_KEYWORDS = {*STREAM_KEYWORDS, *COMMON_KEYWORDS, "TTPlanB", "TTTimeDeadline", "TTWillContinue", "TTTimeout"}


@dataclass(slots=True)
class Argument:
    """An argument of a call.

    Attributes:
        place: where it stands.
        keyword: the keyword it is given by.
        value: its value, once it is evaluated.
        uncertain: it stands for what a star would have given, had there not been a problem.
    """

    place: ast.expr
    keyword: ast.keyword | None = None
    value: Data | None = None
    uncertain: bool = False

    @property
    def where(self) -> Place:
        """Where messages about it point: the keyword, if it has one."""
        return self.place if self.keyword is None else self.keyword


@dataclass(slots=True)
class Signature:
    """What a call takes.

    Attributes:
        shown: what is called, for messages.
        parameters: in their order; those with a default may be left out.
        keywords: what it takes by keyword beside them.
    """

    shown: str
    parameters: list[Parameter]
    keywords: Iterable[str] = ()


@dataclass(slots=True)
class Settings:
    """The fields of a `TTSQ` that a call sets."""

    pinned: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


_OPTIONAL = ast.Constant(None)
"""Stands for some default where only its presence matters."""


class Calls:
    """Evaluates the calls of a graph body, together with `Expressions`.

    Attributes:
        clocks: clocks other than the root by name, parents first.
        used: the templates of which there are instances, by name.
    """

    def __init__(self, expressions: Expressions, network: Network | None) -> None:
        self.expressions = expressions
        self.network = network
        self.clocks: dict[str, TTClock] = {}
        self.used: dict[str, Template] = {}
        expressions.calls = self

    def call(self, node: ast.Call) -> Data:
        """The value of a call."""
        if isinstance(node.func, ast.Attribute):
            method = self._method(node, node.func)
            if method is not None:
                return method
        callee = self.expressions.evaluate(node.func)
        if isinstance(callee, Reference):
            if callee.kind in ("function", "instruction"):
                made = self.instance(node, callee)
                return UNKNOWN if made is None else made.whole
            if callee.kind == "builtin":
                return self._builtin(node, callee.name)
            return self._construct(node, callee)
        if not isinstance(callee, Unknown):
            shown = ast.unparse(node.func)
            if isinstance(callee, Foreign):
                self._problem(node.func, callee.what, callee.instead)
            elif isinstance(callee, Arc):
                self._problem(node.func, f"`{shown}` is an arc, so it cannot be called", "call an SQ on it")
            else:
                self._problem(node.func, f"`{shown}` is a constant, so it cannot be called")
        self._evaluate_all(self._arguments(node))
        return UNKNOWN

    def instance(self, node: ast.expr, callee: Reference, plan_b: bool = False) -> Node | None:
        """A new instance of a function or instruction, called at `node` (without arguments, if that is no call)."""
        arguments = self._arguments(node) if isinstance(node, ast.Call) else []
        if callee.template is not None:
            return self._function(node, callee.template, arguments, plan_b)
        return self._instruction(node, callee.name, arguments, plan_b)

    def keywords_of(
        self, node: ast.Call, name: str, required: Sequence[str] = (), optional: Sequence[str] = ()
    ) -> dict[str, Argument] | None:
        """The arguments of a construct in a `with`, by parameter; None after a problem."""
        parameters = [*map(Parameter, required), *(Parameter(parameter, _OPTIONAL) for parameter in optional)]
        return self._bind(node, Signature(f"`{name}`", parameters), self._arguments(node))

    def duration(self, clock: Argument, ticks: Argument) -> int | None:
        """A number of ticks of a clock, in root ticks; None after a problem."""
        counted = self._clock(clock)
        return None if counted is None else self._ticks(ticks, "the deadline", 0, least=0, clock=counted)

    # -- arguments

    def _arguments(self, node: ast.Call) -> list[Argument]:
        """The arguments of a call; stars are taken apart, nothing else is evaluated."""
        arguments: list[Argument] = []
        for given in node.args:
            if isinstance(given, ast.Starred):
                for item in self.expressions.loop_items(given.value):
                    value = item if isinstance(item, Constant | Arc | Listing) else UNKNOWN
                    arguments.append(Argument(given, value=value, uncertain=isinstance(value, Unknown)))
            else:
                arguments.append(Argument(given))
        for keyword in node.keywords:
            if keyword.arg is not None:
                arguments.append(Argument(keyword.value, keyword))
                continue
            value = self.expressions.known(self.expressions.data(keyword.value), keyword.value, "what `**` takes apart")
            if isinstance(value, Constant) and isinstance(value.value, dict):
                for name, item in value.value.items():
                    made = ast.keyword(arg=str(name), value=keyword.value)
                    ast.copy_location(made, keyword.value)
                    arguments.append(Argument(keyword.value, made, self.expressions.lift(item)))
                continue
            if isinstance(value, Constant):
                self._problem(keyword.value, "`**` takes a dict that is known at compile time")
            arguments.append(Argument(keyword.value, value=UNKNOWN, uncertain=True))
        return arguments

    def _evaluate_all(self, arguments: Sequence[Argument]) -> None:
        """Evaluate what is not evaluated yet, from left to right."""
        for argument in arguments:
            if argument.value is None:
                argument.value = self.expressions.data(argument.place)

    def _evaluate_for_sq(self, arguments: Sequence[Argument]) -> None:
        """As `_evaluate_all`; compile-time lists that hold arcs become SQs."""
        for argument in arguments:
            if isinstance(argument.place, ast.GeneratorExp):
                self._problem(argument.place, "a generator cannot be given to an SQ", "write a list: `[... for ...]`")
                argument.value = UNKNOWN
            if argument.value is None:
                argument.value = self.expressions.data(argument.place)
            if isinstance(argument.value, Listing):
                argument.value = self.expressions.to_port(argument.value, argument.place)

    def _bind(self, node: ast.expr, signature: Signature, arguments: Sequence[Argument]) -> dict[str, Argument] | None:
        """The arguments by parameter; None after a problem."""
        if any(argument.uncertain for argument in arguments):
            return None
        bound: dict[str, Argument] = {}
        positional = [parameter for parameter in signature.parameters if not parameter.keyword_only]
        named = [parameter.name for parameter in signature.parameters if not parameter.positional_only]
        good = True
        taken = 0
        for argument in arguments:
            if argument.keyword is None:
                if taken >= len(positional):
                    self._problem(
                        argument.place,
                        f"{signature.shown} takes {_count(len(positional), 'argument')}, this is one too many",
                        f"its parameters are {_listed(p.name for p in signature.parameters)}" if positional else "",
                    )
                    return None
                name = positional[taken].name
                taken += 1
            else:
                name = str(argument.keyword.arg)
                if name not in named and name not in signature.keywords:
                    good = False
                    self._unknown_keyword(argument, signature, [*named, *signature.keywords])
                    continue
            if name in bound:
                good = False
                self._problem(argument.where, f"`{name}` is given twice to {signature.shown}", "give it once")
            bound[name] = argument
        missing = [p.name for p in signature.parameters if p.default is None and p.name not in bound]
        if missing and good:
            good = False
            needed = ", ".join(p.name for p in signature.parameters if p.default is None)
            self._problem(
                node, f"{signature.shown} is missing {_listed(missing)}", f"write `{signature.shown[1:-1]}({needed})`"
            )
        return bound if good else None

    def _unknown_keyword(self, argument: Argument, signature: Signature, known: Sequence[str]) -> None:
        assert argument.keyword is not None
        name = str(argument.keyword.arg)
        if name in STREAM_KEYWORDS:
            self._problem(
                argument.where,
                f"`{name}` is for calls of a @STREAMify function, not of {signature.shown}",
                "leave it out",
            )
        elif name == "TTExecuteOnFullToken":
            self._problem(
                argument.where, "`TTExecuteOnFullToken` belongs in the signature of the function", "leave it out"
            )
        else:
            hint = did_you_mean(name, [*known, *_ALL_KEYWORDS])
            self._problem(
                argument.where, f"{signature.shown} has no parameter `{name}`", hint or f"it takes {_listed(known)}"
            )

    # -- instances

    def _function(self, node: ast.expr, template: Template, arguments: list[Argument], plan_b: bool) -> Node | None:
        self._evaluate_for_sq(arguments)
        keywords = [*COMMON_KEYWORDS, *(STREAM_KEYWORDS if template.stream else ())]
        if plan_b and template.stream:
            self._problem(node, f"`{template.name}` is a stream, so it cannot be a plan B", "write an @SQify function")
            return None
        bound = self._bind(node, Signature(f"`{template.name}`", template.parameters, keywords), arguments)
        if bound is None or self.network is None:
            return None
        ports: list[Port] = []
        parameters: dict[str, Any] = {}
        values: dict[str, Any] = {}
        good = True
        for parameter in template.parameters:
            argument = bound.get(parameter.name)
            if argument is None:
                continue
            if parameter.default is None:
                value = self.expressions.to_port(_given(argument), argument.place)
                if isinstance(value, Unknown):
                    good = False
                else:
                    ports.append(Port(parameter.name, value, keyword=parameter.keyword_only))
            else:
                setting = self._fixed(argument, parameter.name)
                if setting is None:
                    good = False
                else:
                    parameters[parameter.name] = encode_constant(setting.value)
                    values[parameter.name] = setting.value
        settings = self._common(bound)
        if template.stream:
            stream = self._stream_settings(node, template, bound)
            if stream is None:
                good = False
            else:
                settings.fields.update(stream)
                for name in template.defaults.keys() & bound.keys() - {"TTClock"}:
                    parameters[name] = encode_constant(self._constant(bound[name]))
        if not good:
            return None
        self.used[template.name] = template
        made = self.network.add(
            template.name,
            node,
            ports,
            pinned=settings.pinned,
            at_deadline=plan_b,
            body=True,
            parameters=parameters,
            stateful=template.stateful,
            full_token=template.full_token,
            **settings.fields,
        )
        made.is_source = template.stream
        for component in self._components(template, values):
            if component not in made.sq.constraints:
                made.sq.constraints.append(component)
        return made

    def _components(self, template: Template, values: dict[str, Any]) -> list[TTConstraintSpec]:
        names = list(template.components)
        for name in template.component_parameters:
            if name not in values:
                default = next((p.default for p in template.parameters if p.name == name), None)
                values[name] = None if default is None else self._default_text(default)
            if isinstance(values.get(name), str) and values[name] not in names:
                names.append(values[name])
        return [TTConstraintSpec(components=[name]) for name in names]

    def _default_text(self, default: ast.expr) -> str | None:
        """The default of a parameter if it is a string known at compile time; it need not be."""
        aside = Expressions(Problems("", ""), self.expressions.module, None)
        Calls(aside, None)
        value = aside.evaluate(default)
        return value.value if isinstance(value, Constant) and isinstance(value.value, str) else None

    def _instruction(self, node: ast.expr, name: str, arguments: list[Argument], plan_b: bool) -> Node | None:
        instruction = BY_NAME[name]
        self._evaluate_for_sq(arguments)
        parameters = [Parameter(parameter) for parameter in instruction.inputs]
        parameters += [
            Parameter(setting, None if default is REQUIRED else _OPTIONAL)
            for setting, default in instruction.settings.items()
        ]
        bound = self._bind(node, Signature(f"`{name}`", parameters, COMMON_KEYWORDS), arguments)
        if bound is None or self.network is None:
            return None
        ports: list[Port] = []
        for index, parameter in enumerate(instruction.inputs):
            argument = bound[parameter]
            value = self.expressions.to_port(_given(argument), argument.place)
            if name == "MERGE" and isinstance(value, Constant):
                # Its ports fire one by one, so a constant is a token of its own, sent once.
                value = self.network.add("RETURN", argument.place, [Port("0", value)]).whole
            if not isinstance(value, Unknown):
                ports.append(Port(instruction.port_name(index), value))
        settings = self._common(bound)
        fields = self._instruction_settings(name, bound)
        if fields is None or len(ports) < len(instruction.inputs):
            return None
        settings.fields.update(fields)
        if name == "MERGE":
            settings.fields["singly"] = True
        return self.network.add(name, node, ports, pinned=settings.pinned, at_deadline=plan_b, **settings.fields)

    def _instruction_settings(self, name: str, bound: dict[str, Argument]) -> dict[str, Any] | None:
        """The fields that an instruction's settings make; None after a problem."""
        settings = BY_NAME[name].settings
        fields: dict[str, Any] = {}
        clock = self._clock(bound.get("TTClock"))
        if clock is None:
            return None
        if "TTClock" in settings:
            fields["clock"] = clock.name
        if "delay" in settings:
            delay = self._ticks(bound.get("delay"), "delay", 0)
            if delay is None:
                return None
            fields["instruction"] = {"delay": delay}
        if "const" in settings:
            const = self._fixed(bound["const"], "const")
            if const is None:
                return None
            fields["instruction"] = {"const": encode_constant(const.value)}
        if name == "RESAMPLE":
            order = self._ticks(bound.get("order"), "order", 0)
            grid = self._grid(clock, bound.get("TTPeriod"), bound.get("TTPhase"))
            if order is None or grid is None:
                return None
            if order not in (0, 1):
                self._problem(bound["order"].where, f"order is 0 (hold) or 1 (linear), not {order}")
                return None
            fields.update(grid, instruction={"order": order}, width=grid["period"])
        return fields

    def _stream_settings(self, node: ast.expr, template: Template, bound: dict[str, Argument]) -> dict[str, Any] | None:
        """The fields that `TTPeriod` and the like make, from the call or else the signature; None after a problem."""
        given = {name: Argument(default) for name, default in template.defaults.items()}
        given.update((name, bound[name]) for name in STREAM_KEYWORDS if name in bound)
        if "TTPeriod" not in given:
            self._problem(
                node, f"the stream `{template.name}` has no period", "give `TTPeriod=`, in ticks of `TTClock=`"
            )
            return None
        if "TTDataIntervalWidth" in bound and "TTDataValidityInterval" in bound:
            self._problem(
                bound["TTDataValidityInterval"].where,
                "`TTDataValidityInterval` is an older name of `TTDataIntervalWidth`: the width is given twice",
                "give it once",
            )
            return None
        clock = self._clock(given.get("TTClock"))
        if clock is None:
            return None
        grid = self._grid(clock, given["TTPeriod"], given.get("TTPhase"))
        if grid is None:
            return None
        fields: dict[str, Any] = {"trigger": "grid", "clock": clock.name, **grid}
        older = "TTDataValidityInterval" in bound or "TTDataIntervalWidth" not in given
        name = "TTDataValidityInterval" if older and "TTDataIntervalWidth" not in bound else "TTDataIntervalWidth"
        if name in given:
            width = self._ticks(given[name], name, 0, least=1, clock=clock)
            if width is None:
                return None
            fields["width"] = width
        else:
            fields["width"] = interval_width(grid["period"])
        delay = self._ticks(given.get("TTFirstInstanceDelay"), "TTFirstInstanceDelay", 0, least=0, clock=clock)
        if delay is None:
            return None
        fields["first_delay"] = delay
        if "TTStamp" in given:
            stamp = self._fixed(given["TTStamp"], "TTStamp")
            if stamp is None:
                return None
            if stamp.value not in ("instant", "body"):
                self._problem(
                    given["TTStamp"].where, f'TTStamp is "instant" or "body", not {folding.shown(stamp.value)}'
                )
                return None
            fields["stamp"] = stamp.value
        return fields

    def _grid(self, clock: TTClock, period: Argument | None, phase: Argument | None) -> dict[str, int] | None:
        """Period and phase in root ticks."""
        root_period = self._ticks(period, "TTPeriod", 0, least=1, clock=clock)
        offset = self._ticks(phase, "TTPhase", 0)
        if root_period is None or offset is None:
            return None
        ticks = root_period // clock.root_period
        if not 0 <= offset < ticks:
            where = phase.where if phase is not None else period.where if period is not None else None
            assert where is not None
            self._problem(
                where,
                f"TTPhase must be at least 0 and less than TTPeriod, but it is {offset} and the period is {ticks}",
                f"write `TTPhase={offset % ticks}`",
            )
            return None
        return {"period": root_period, "phase": (clock.root_epoch + offset * clock.root_period) % root_period}

    def _common(self, bound: dict[str, Argument]) -> Settings:
        """What `TTName` and `TTPersistent` set."""
        settings = Settings()
        if "TTName" in bound:
            name = self._fixed(bound["TTName"], "TTName")
            if name is not None:
                text = name.value
                if not isinstance(text, str) or not text or any(c.isspace() or c in "/\\" for c in text):
                    self._problem(
                        bound["TTName"].where,
                        f"{folding.shown(text)} is no name for an SQ",
                        "TTName is a string without spaces or slashes",
                    )
                else:
                    settings.pinned = text
        if "TTPersistent" in bound:
            persistent = self._flag(bound["TTPersistent"], "TTPersistent", False)
            settings.fields["persistent"] = bool(persistent)
        return settings

    # -- what must be known at compile time

    def _fixed(self, argument: Argument, name: str) -> Constant | None:
        """The constant given for a parameter that is fixed at compile time; None after a problem."""
        self._evaluate_all([argument])
        value = self.expressions.lower(_given(argument), argument.place)
        if value is None:
            remedy = "give a constant" if name.startswith("TT") else "remove its default to make it an input"
            self._problem(argument.where, f"`{name}` is fixed at compile time, but this is an arc", remedy)
            return None
        if isinstance(value, Unknown):
            return None
        reason = folding.why_not_storable(value.value)
        if reason is not None:
            self._problem(argument.where, f"`{name}`: {reason}")
            return None
        return value

    def _constant(self, argument: Argument) -> Any:
        value = self.expressions.lower(_given(argument), argument.place)
        return value.value if isinstance(value, Constant) else None

    def _ticks(
        self, argument: Argument | None, name: str, default: int, least: int | None = None, clock: TTClock | None = None
    ) -> int | None:
        """A whole number of ticks, in root ticks if they are a clock's; None after a problem."""
        if argument is None:
            return default
        value = self._fixed(argument, name)
        if value is None:
            return None
        try:
            ticks = whole_tick(value.value, name)
        except (ValueError, TypeError):
            self._problem(
                argument.where, f"{name} must be a whole number, not {folding.shown(value.value)}",
                "count in ticks of a clock with a shorter period" if isinstance(value.value, float) else "",
            )  # fmt: skip
            return None
        if least is not None and ticks < least:
            self._problem(argument.where, f"{name} must be at least {least}, not {folding.shown(ticks)}")
            return None
        if clock is not None:
            ticks *= clock.root_period
        if abs(ticks) >= MOST_TICKS:
            self._problem(argument.where, f"{name} is too large: it must be less than 2**62 ticks of the root clock")
            return None
        return ticks

    def _flag(self, argument: Argument | None, name: str, default: bool) -> bool | None:
        if argument is None:
            return default
        value = self._fixed(argument, name)
        if value is None:
            return None
        if not isinstance(value.value, bool):
            self._problem(argument.where, f"{name} is True or False, not {folding.shown(value.value)}")
            return None
        return value.value

    def _clock(self, argument: Argument | None) -> TTClock | None:
        """The clock given as `TTClock=`, the root if none is; None after a problem."""
        if argument is None:
            return ROOT
        self._evaluate_all([argument])
        value = _given(argument)
        if isinstance(value, Unknown):
            return None
        if not (isinstance(value, Constant) and isinstance(value.value, TTClock)):
            self._problem(argument.where, "`TTClock` takes a clock", "write `with TTClock.root() as c:` and give `c`")
            return None
        return value.value if self._register(value.value, argument.where) else None

    def _register(self, clock: TTClock, place: Place) -> bool:
        """Add a clock and its parents to the graph's."""
        if self.network is None:
            return True
        for one in reversed(clock.ancestors()):
            if one.parent is None:
                continue
            if one.name == "root":
                self._problem(place, "only the root clock is called 'root'", "name this one differently")
                return False
            if self.clocks.setdefault(one.name, one) != one:
                self._problem(place, f"two different clocks are called {one.name!r}", "name one of them differently")
                return False
        return True

    # -- constructs

    def _construct(self, node: ast.Call, callee: Reference) -> Data:
        arguments = self._arguments(node)
        match callee.name:
            case "TTClock.root":
                if arguments:
                    return self._problem(arguments[0].where, "TTClock.root() takes no arguments")
                return Constant(ROOT)
            case "TTClock":
                return self._new_clock(node, arguments)
            case "TTFinishByOtherwise":
                return self._finish_by_otherwise(node, arguments)
            case "TTSingleRunTimeout":
                return self._single_run(node, arguments)
            case "TTConstraint" | "TTQuery" | "TTPlanB" | "TTDeadline":
                return self._problem(
                    node, f"{callee.name} stands in a `with` only", f"write `with {callee.name}(...):`"
                )
            case "component":
                return self._problem(
                    node,
                    "component() has a meaning in the body of an SQ only",
                    "call it there, and place SQs with `with TTConstraint(components=[...]):`",
                )
        if callee.kind == "module":
            return self._problem(node.func, f"`{ast.unparse(node.func)}` is nothing that a graph can call")
        return self._problem(node.func, f"{callee.name} is a decorator", f"write `@{callee.name}` above a `def`")

    def _new_clock(self, node: ast.Call, arguments: list[Argument]) -> Data:
        self._evaluate_all(arguments)
        parameters = [
            Parameter("name"),
            Parameter("parent"),
            Parameter("period", _OPTIONAL),
            Parameter("epoch", _OPTIONAL),
        ]
        bound = self._bind(node, Signature("`TTClock`", parameters), arguments)
        if bound is None:
            return UNKNOWN
        given: dict[str, Any] = {}
        for name, argument in bound.items():
            value = self.expressions.known(_given(argument), argument.place, f"the {name} of a clock")
            if isinstance(value, Unknown):
                return UNKNOWN
            given[name] = value.value
        if given["parent"] is None:
            return self._problem(bound["parent"].where, "a clock needs a parent", "count it on `TTClock.root()`")
        try:
            clock = TTClock(**given)
        except (TypeError, ValueError) as error:
            return self._problem(node, str(error))
        if not clock.name.strip() or folding.why_not_storable(clock.name) is not None:
            return self._problem(node, "a clock needs a name that can be read")
        if clock.root_period >= MOST_TICKS or abs(clock.root_epoch) >= MOST_TICKS:
            return self._problem(
                node, "the period and the epoch of a clock are less than 2**62 ticks of the root clock"
            )
        return Constant(clock) if self._register(clock, node) else UNKNOWN

    def _finish_by_otherwise(self, node: ast.Call, arguments: list[Argument]) -> Data:
        name = "TTFinishByOtherwise"
        parameters = [Parameter("data"), Parameter("TTTimeDeadline")]
        parameters += [Parameter(p, _OPTIONAL) for p in ("TTPlanB", "TTWillContinue")]
        bound = self._bind(node, Signature(f"`{name}`", parameters, [*COMMON_KEYWORDS, "TTClock"]), arguments)
        if bound is None:
            self._evaluate_all([a for a in arguments if a.keyword is None or a.keyword.arg != "TTPlanB"])
            return UNKNOWN
        # Plan B's call is no value here: it is made last, and fires at the deadline only.
        self._evaluate_for_sq([argument for parameter, argument in bound.items() if parameter != "TTPlanB"])
        will_continue = self._flag(bound.get("TTWillContinue"), "TTWillContinue", True)
        clock = self._clock(bound.get("TTClock"))
        settings = self._common(bound)
        data = self.expressions.to_port(_given(bound["data"]), bound["data"].place)
        deadline = self.expressions.to_port(_given(bound["TTTimeDeadline"]), bound["TTTimeDeadline"].place)
        if isinstance(deadline, Constant):
            ticks = self._ticks(bound["TTTimeDeadline"], "TTTimeDeadline", 0)
            deadline = UNKNOWN if ticks is None else Constant(ticks)
        plan = bound.get("TTPlanB")
        plan_b = None
        if plan is not None:
            plan_b = self.plan_b(plan)
            if plan_b is None:
                return UNKNOWN
        if will_continue is None or clock is None or isinstance(data, Unknown) or isinstance(deadline, Unknown):
            return UNKNOWN
        if plan_b is None:
            will_continue = will_continue and plan is not None
        return self.deadline(node, data, deadline, plan_b, will_continue, clock=clock.name, settings=settings)

    def deadline(
        self,
        node: ast.expr,
        data: Arc | Constant,
        deadline: Arc | Constant,
        plan_b: Node | None,
        will_continue: bool,
        *,
        clock: str = "root",
        offset: int = 0,
        settings: Settings | None = None,
    ) -> Data:
        """The SQ of a deadline; its plan B exists already."""
        if self.network is None:
            return UNKNOWN
        settings = settings or Settings()
        made = self.network.add(
            "TTFinishByOtherwise",
            node,
            [Port("data", data), Port("deadline", deadline)],
            pinned=settings.pinned,
            trigger="deadline",
            plan_b=None if plan_b is None else plan_b.sq.name,
            will_continue=will_continue,
            clock=clock,
            offset=offset,
            **settings.fields,
        )
        if plan_b is not None:
            made.plan_b = plan_b
            plan_b.is_silent = will_continue
            # They are placed together, so what holds for one's host holds for the other's.
            both = [*made.sq.constraints, *(c for c in plan_b.sq.constraints if c not in made.sq.constraints)]
            made.sq.constraints, plan_b.sq.constraints = both, list(both)
        return made.whole

    def plan_b(self, argument: Argument) -> Node | None:
        """The SQ that fires when there is no data: of a call, or of a bare function called without arguments."""
        expression = argument.place
        function = expression.func if isinstance(expression, ast.Call) else expression
        if argument.value is None and isinstance(function, ast.Name | ast.Attribute):
            callee = self.expressions.evaluate(function)
            if isinstance(callee, Unknown):
                return None
            if isinstance(callee, Reference) and callee.kind in ("function", "instruction"):
                return self.instance(expression, callee, plan_b=True)
            if isinstance(callee, Foreign):
                self._problem(function, callee.what, callee.instead)
                return None
        self._problem(argument.where, "TTPlanB takes a call such as g(x)", "write the call of an @SQify function")
        return None

    def _single_run(self, node: ast.Call, arguments: list[Argument]) -> Data:
        parameters = [Parameter("call"), Parameter("TTTimeout")]
        bound = self._bind(node, Signature("`TTSingleRunTimeout`", parameters, ["TTClock"]), arguments)
        if bound is None or self.network is None:
            return UNKNOWN
        target = bound["call"]
        before = len(self.network.nodes)
        self._evaluate_all([target])
        clock = self._clock(bound.get("TTClock"))
        timeout = None if clock is None else self._ticks(bound["TTTimeout"], "TTTimeout", 0, least=1, clock=clock)
        value = _given(target)
        if isinstance(value, Unknown) or timeout is None:
            return UNKNOWN
        node_called = made_since(self.network, value, before)
        if not isinstance(target.place, ast.Call) or node_called is None:
            return self._problem(target.where, "TTSingleRunTimeout takes a call such as g(x)", "write the call here")
        node_called.sq.single_run = timeout
        return value

    # -- builtins and methods of what is known at compile time

    def _builtin(self, node: ast.Call, name: str) -> Data:
        arguments = self._arguments(node)
        self._evaluate_all(arguments)
        values = [_given(argument) for argument in arguments]
        if any(isinstance(value, Unknown) for value in values):
            return UNKNOWN
        structural = _STRUCTURAL.get(name)
        if structural is not None and any(isinstance(value, Listing) for value in values):
            return structural(self, node, arguments)
        lowered = [
            self.expressions.lower(value, argument.place) for value, argument in zip(values, arguments, strict=True)
        ]
        for value, argument in zip(lowered, arguments, strict=True):
            if value is None:
                instruction = f"write `{name.upper()}(...)`" if name.upper() in BY_NAME else "write an SQ that does it"
                return self._problem(
                    argument.where, f"`{name}` is computed at compile time, but this is an arc", instruction
                )
        if any(isinstance(value, Unknown) for value in lowered):
            return UNKNOWN
        known = [value.value for value in lowered if isinstance(value, Constant)]
        keywords = {str(a.keyword.arg): v for a, v in zip(arguments, known, strict=True) if a.keyword is not None}
        positional = [v for a, v in zip(arguments, known, strict=True) if a.keyword is None]
        self.expressions.spend(node, sum(map(folding.steps_over, known)))
        try:
            return self.expressions.lift(folding.fold_builtin(name, positional, keywords))
        except CannotFold as error:
            return self._problem(node, str(error))

    def _len(self, node: ast.Call, arguments: list[Argument]) -> Data:
        if len(arguments) != 1:
            return self._problem(node, "len() takes one argument")
        value = _given(arguments[0])
        assert isinstance(value, Listing)
        return Constant(len(value.items))

    def _zip(self, node: ast.Call, arguments: list[Argument]) -> Data:
        columns = self._columns(arguments, ("strict",))
        if columns is None:
            return UNKNOWN
        strict = any(a.keyword is not None and self._flag(a, "strict", False) for a in arguments)
        if strict and len({len(column) for column in columns}) > 1:
            return self._problem(node, "ValueError: the arguments of zip() have different lengths")
        return Listing([Listing(list(row), is_tuple=True) for row in zip(*columns, strict=False)])

    def _enumerate(self, node: ast.Call, arguments: list[Argument]) -> Data:
        starts = [a for i, a in enumerate(arguments) if i == 1 or (a.keyword is not None and a.keyword.arg == "start")]
        start = self._ticks(starts[0], "start", 0) if starts else 0
        items = self.expressions.items(_given(arguments[0]), arguments[0].place)
        if start is None or items is None:
            return UNKNOWN
        rows = [Listing([Constant(start + index), item], is_tuple=True) for index, item in enumerate(items)]
        self.expressions.spend(node, len(rows))
        return Listing([*rows])

    def _reversed(self, node: ast.Call, arguments: list[Argument]) -> Data:
        column = self._column(node, arguments)
        return UNKNOWN if column is None else Listing(column[::-1])

    def _list(self, node: ast.Call, arguments: list[Argument]) -> Data:
        column = self._column(node, arguments)
        return UNKNOWN if column is None else Listing(column)

    def _tuple(self, node: ast.Call, arguments: list[Argument]) -> Data:
        column = self._column(node, arguments)
        return UNKNOWN if column is None else Listing(column, is_tuple=True)

    def _column(self, node: ast.Call, arguments: list[Argument]) -> list[Value] | None:
        if len(arguments) != 1:
            self._problem(node, f"`{ast.unparse(node.func)}` takes one argument here")
            return None
        columns = self._columns(arguments)
        return None if not columns else columns[0]

    def _bool(self, node: ast.Call, arguments: list[Argument]) -> Data:
        truth = self.expressions.truth(_given(arguments[0]), node)
        return Constant(truth) if isinstance(truth, bool) else UNKNOWN

    def _columns(self, arguments: list[Argument], keywords: Sequence[str] = ()) -> list[list[Value]] | None:
        columns: list[list[Value]] = []
        for argument in arguments:
            if argument.keyword is not None:
                if argument.keyword.arg not in keywords:
                    self._problem(argument.where, f"unexpected keyword `{argument.keyword.arg}`")
                    return None
                continue
            items = self.expressions.items(_given(argument), argument.place)
            if items is None:
                return None
            self.expressions.spend(argument.place, len(items))
            columns.append(items)
        return columns

    def _method(self, node: ast.Call, function: ast.Attribute) -> Data | None:
        """The value of a method call on what is known at compile time; None if the callee is something else."""
        base = self.expressions.evaluate(function.value)
        if isinstance(base, Unknown):
            self._evaluate_all(self._arguments(node))
            return UNKNOWN
        if isinstance(base, Constant) and isinstance(base.value, TTClock):
            return self._problem(function, "a clock's methods have no meaning in a graph", "write `READ_TTCLOCK(...)`")
        if isinstance(base, Arc):
            self._evaluate_all(self._arguments(node))
            return self._problem(
                function,
                f"`.{function.attr}()` of an arc: a graph does not look into values",
                f"write an SQ that returns `value.{function.attr}(...)`",
            )
        if isinstance(base, Foreign):
            return self._problem(function, base.what, base.instead)
        if not isinstance(base, Constant | Listing):
            return None
        arguments = self._arguments(node)
        self._evaluate_all(arguments)
        if isinstance(base, Listing) and not base.is_tuple and function.attr in _LIST_METHODS:
            return self._list_method(node, base, function, arguments)
        values = [base, *map(_given, arguments)]
        lowered = [self.expressions.lower(value, node) for value in values]
        if any(isinstance(value, Unknown) for value in lowered):
            return UNKNOWN
        if any(value is None for value in lowered):
            return self._problem(
                function,
                f"`.{function.attr}()` is computed at compile time, but there is an arc in it",
                "write an SQ that does it",
            )
        value, *known = [value.value for value in lowered if isinstance(value, Constant)]
        keywords = {str(a.keyword.arg): v for a, v in zip(arguments, known, strict=True) if a.keyword is not None}
        positional = [v for a, v in zip(arguments, known, strict=True) if a.keyword is None]
        try:
            return self.expressions.lift(folding.fold_method(value, function.attr, positional, keywords))
        except CannotFold as error:
            return self._problem(function, str(error))

    def _list_method(
        self, node: ast.Call, listing: Listing, function: ast.Attribute, arguments: list[Argument]
    ) -> Data:
        name = function.attr
        if name == "copy" and not arguments:
            return Listing(list(listing.items))
        least, most = _LIST_METHODS[name]
        if any(a.keyword is not None for a in arguments) or not least <= len(arguments) <= most:
            return self._problem(node, f"`.{name}()` of a list does not take these arguments")
        if not self.expressions.may_change(listing, node):
            return UNKNOWN
        values = [_given(argument) for argument in arguments]
        none = Constant(None)
        match name:
            case "append":
                self.expressions.spend(node)
                listing.items.append(values[0])
            case "extend":
                items = self.expressions.items(values[0], arguments[0].place)
                self.expressions.spend(node, len(items or ()))
                listing.items.extend(items or [UNKNOWN])
            case "reverse":
                listing.items.reverse()
            case "clear":
                listing.items.clear()
            case "insert" | "pop":
                index = self._ticks(arguments[0], "the index", 0) if arguments else -1
                if index is None:
                    return UNKNOWN
                if name == "insert":
                    self.expressions.spend(node)
                    listing.items.insert(index, values[1])
                    return none
                try:
                    item = listing.items.pop(index)
                except IndexError as error:
                    return self._problem(node, f"IndexError: {error}")
                return item if isinstance(item, Constant | Arc | Listing) else UNKNOWN
        return none

    def _problem(self, place: Place, what: str, instead: str = "") -> Unknown:
        return self.expressions.problem(place, what, instead)


def made_since(network: Network, value: Value, before: int) -> Node | None:
    """The SQ whose whole value this is, if it was made after the first `before` ones."""
    if not isinstance(value, Arc) or value.path or value.kind != "value":
        return None
    source = value.source
    if not isinstance(source, Node) or source.sq.trigger == "deadline":
        return None
    # It is among the last ones: only gates can follow the SQ of a call.
    return source if any(node is source for node in reversed(network.nodes[before:])) else None


def _given(argument: Argument) -> Data:
    assert argument.value is not None
    return argument.value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _count(number: int, noun: str) -> str:
    return f"no {noun}" if number == 0 else f"{number} {noun}{'s' if number > 1 else ''}"


_LIST_METHODS = {
    "append": (1, 1),
    "clear": (0, 0),
    "copy": (0, 0),
    "extend": (1, 1),
    "insert": (2, 2),
    "pop": (0, 1),
    "reverse": (0, 0),
}
"""Methods of a compile-time list, with the least and the most arguments of each."""
_STRUCTURAL: dict[str, Callable[[Calls, ast.Call, list[Argument]], Data]] = {
    "len": Calls._len,
    "zip": Calls._zip,
    "enumerate": Calls._enumerate,
    "reversed": Calls._reversed,
    "list": Calls._list,
    "tuple": Calls._tuple,
    "bool": Calls._bool,
}
