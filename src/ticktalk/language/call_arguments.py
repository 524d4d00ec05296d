"""The arguments of calls: how they are taken apart, evaluated and bound, and which are fixed at compile time."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ticktalk.durations import duration_text
from ticktalk.language import folding
from ticktalk.language.evaluation import UNKNOWN, Attempts, Evaluation, Listing, NoValue, Unknown, Value
from ticktalk.language.function_templates import STREAM_KEYWORDS, Parameter
from ticktalk.language.graph_draft import Constant
from ticktalk.source_problems import Place, did_you_mean
from ticktalk.time import ROOT, TTClock
from ticktalk.time.clock import whole_tick

MOST_TICKS = 2**62
"""Ticks of the root clock are less than this: 146,000 years."""
COMMON_KEYWORDS = ("TTName", "TTPersistent", "TTUnmatched")
CALLABLE = ("TTPlanB", "TTUnmatched")
"""Keywords that take a function or its call, which is no value."""
BODY_KEYWORDS = ("TTTimeout",)
"""Of calls of functions: they say how long the body may run."""
_PERIODS = ("TTPeriod", "TTTimeout")
"""Keywords that nobody gives less than a millisecond without saying so."""
OPTIONAL = ast.Constant(None)
"""Stands for some default where only its presence matters."""

ALL_KEYWORDS = {*STREAM_KEYWORDS, *COMMON_KEYWORDS, *BODY_KEYWORDS, "TTPlanB", "TTTimeDeadline", "TTWillContinue"}


@dataclass(slots=True)
class Argument:
    """An argument of a call, and its value, once it is evaluated."""

    place: ast.expr
    keyword: ast.keyword | None = None
    value: Value | None = None
    uncertain: bool = False  # it stands in place of the arguments that an erroneous star would have given

    @property
    def where(self) -> Place:
        """The place for messages about it: the keyword, if it has one."""
        return self.place if self.keyword is None else self.keyword

    @property
    def given(self) -> Value:
        """Its value, which is evaluated."""
        assert self.value is not None
        return self.value


class Arguments(Evaluation):
    """Reads the arguments of calls."""

    def arguments_of(self, node: ast.expr) -> list[Argument]:
        """The arguments of a call (none, if it is no call); stars are taken apart, nothing else is evaluated."""
        if not isinstance(node, ast.Call):
            return []
        arguments: list[Argument] = []
        for given in node.args:
            if isinstance(given, ast.Starred):
                for item in self.items_seen(self.data(given.value), given.value):
                    arguments.append(Argument(given, value=item, uncertain=isinstance(item, Unknown)))
            else:
                arguments.append(Argument(given))
        for keyword in node.keywords:
            if keyword.arg is not None:
                arguments.append(Argument(keyword.value, keyword))
            else:
                arguments += self._of_stars(keyword.value)
        return arguments

    def _of_stars(self, place: ast.expr) -> list[Argument]:
        """The arguments that `**` gives."""
        try:
            value = self.known(self.data(place), place, "what `**` takes apart")
            if not isinstance(value, dict):
                raise self.refused(place, "`**` takes a dict that is known at compile time")
        except NoValue:
            return [Argument(place, value=UNKNOWN, uncertain=True)]
        keywords = [ast.copy_location(ast.keyword(arg=str(name), value=place), place) for name in value]
        return [Argument(place, each, self.lift(item)) for each, item in zip(keywords, value.values(), strict=True)]

    def evaluate_all(self, arguments: Sequence[Argument]) -> None:
        """Evaluate the arguments that are not evaluated yet, from left to right."""
        for argument in arguments:
            if argument.value is None:
                argument.value = self.data(argument.place)

    def evaluate_for_sq(self, arguments: Sequence[Argument]) -> None:
        """As `evaluate_all`; compile-time lists that hold arcs become SQs, and functions are left (`CALLABLE`)."""
        for argument in arguments:
            if argument.keyword is not None and argument.keyword.arg in CALLABLE:
                continue
            if isinstance(argument.place, ast.GeneratorExp):
                what = "a generator cannot be given to an SQ"
                self.problems.report(argument.place, what, "write a list: `[... for ...]`")
                argument.value = UNKNOWN
            self.evaluate_all([argument])
            if isinstance(argument.value, Listing):
                argument.value = self.seen(self.to_port, argument.value, argument.place)

    def bind_arguments(
        self,
        node: ast.expr,
        callee: str,
        parameters: Sequence[Parameter],
        arguments: Sequence[Argument],
        keywords: Sequence[str] = (),
    ) -> dict[str, Argument]:
        """The arguments of the call `node` by parameter.

        `parameters` with a default may be left out; `keywords` are further ones, by keyword only, that may be left out.
        """
        if any(argument.uncertain for argument in arguments):
            raise NoValue
        attempts, shown = Attempts(), f"`{callee}`"
        bound: dict[str, Argument] = {}
        positional = [parameter for parameter in parameters if not parameter.keyword_only]
        named = [parameter.name for parameter in parameters if not parameter.positional_only]
        taken = 0
        for argument in arguments:
            if argument.keyword is None:
                if taken >= len(positional):
                    what = f"{shown} takes {_arguments(len(positional))}, this is one too many"
                    instead = f"its parameters are {_listed(p.name for p in parameters)}" if positional else ""
                    instead += "; settings are given by name, such as `TTPeriod=...`" if "TTPeriod" in keywords else ""
                    raise self.refused(argument.place, what, instead)
                name = positional[taken].name
                taken += 1
            else:
                name = str(argument.keyword.arg)
            with attempts:
                if argument.keyword is not None and name not in named and name not in keywords:
                    raise self._unknown_keyword(argument, name, shown, [*named, *keywords])
                if name in bound:
                    raise self.refused(argument.where, f"`{name}` is given twice to {shown}", "give it once")
                bound[name] = argument
        attempts.check()
        needed = [parameter for parameter in parameters if parameter.default is None]
        missing = [parameter.name for parameter in needed if parameter.name not in bound]
        if missing:
            written = [f"{each.name}=..." if each.keyword_only else each.name for each in needed]
            call = f"{callee}({', '.join(written)})"
            raise self.refused(node, f"{shown} is missing {_listed(missing)}", f"write `{call}`")
        return bound

    def _unknown_keyword(self, argument: Argument, name: str, shown: str, known: Sequence[str]) -> NoValue:
        what, instead = f"{shown} has no parameter `{name}`", "leave it out"
        if name in STREAM_KEYWORDS:
            what = f"`{name}` is for calls of a @STREAMify function, not of {shown}"
            instead = f"leave it out, or decorate the function of {shown} with @STREAMify"
        elif name in BODY_KEYWORDS:
            what = f"`{name}` is for calls of @SQify and @STREAMify functions, not of {shown}"
        elif name in COMMON_KEYWORDS:
            what, instead = f"{what}: it is for calls of SQs", "write it at the calls inside"
        elif name == "TTExecuteOnFullToken":
            what = "`TTExecuteOnFullToken` belongs in the signature of the function"
        else:
            instead = did_you_mean(name, [*known, *ALL_KEYWORDS]) or f"it takes {_listed(known)}"
        return self.refused(argument.where, what, instead)

    # -- constants that are fixed at compile time

    def fixed(self, argument: Argument, name: str, instead: str = "give a constant") -> Any:
        """The constant given for a parameter that is fixed at compile time; `instead` of an arc."""
        self.evaluate_all([argument])
        value = self.lower(argument.given, argument.place)
        if value is None:
            raise self.refused(argument.where, f"`{name}` is fixed at compile time, but this is an arc", instead)
        if isinstance(value, Unknown):
            raise NoValue
        self.check_storable(value.value, argument.where, f"`{name}`")
        return value.value

    def ticks(
        self, argument: Argument | None, name: str, default: int = 0, least: int | None = None, clock: TTClock = ROOT
    ) -> int:
        """A whole number of ticks of `clock`, or a duration, in root ticks; the default is in root ticks too."""
        period = self.period(argument, name, default, least, clock)
        if isinstance(period, Fraction):
            assert argument is not None
            what = f"{name} is a whole number of root ticks, not {folding.shown(period)}"
            raise self.refused(argument.where, what)
        return period

    def period(
        self, argument: Argument | None, name: str, default: int = 0, least: int | None = None, clock: TTClock = ROOT
    ) -> int | Fraction:
        """As `ticks`; a duration may be a fraction of ticks."""
        if argument is None:
            return default
        value = self.fixed(argument, name)
        if isinstance(value, folding.Duration | Fraction):
            # A duration that was written with its unit is the same on every clock.
            return self._in_bounds(argument, name, Fraction(value), least)
        try:
            ticks = whole_tick(value, name)
        except (ValueError, TypeError):
            what = f"{name} must be a whole number, not {folding.shown(value)}"
            instead = "write a time with its unit, such as ms(100) or s(2), or a rate, such as Hz(60)"
            raise self.refused(argument.where, what, instead) from None
        if least is not None and ticks < least:
            raise self.refused(argument.where, f"{name} must be at least {least}, not {folding.shown(ticks)}")
        if name in _PERIODS and clock is ROOT:
            self.doubt_unit(argument.where, ticks, f"{name}={ticks}")
        return self._in_bounds(argument, name, Fraction(ticks * clock.root_period), None)

    def _in_bounds(self, argument: Argument, name: str, ticks: Fraction, least: int | None) -> int | Fraction:
        if least is not None and ticks < least:
            raise self.refused(argument.where, f"{name} must be at least {least}, not {folding.shown(ticks)}")
        if abs(ticks) >= MOST_TICKS:
            what = f"{name} is too large: it must be less than 2**62 ticks of the root clock"
            raise self.refused(argument.where, what)
        return ticks.numerator if ticks.denominator == 1 else ticks

    def ticks_of(self, argument: Argument | None, name: str, clock: TTClock) -> int:
        """A whole number of ticks of `clock`, also where it is given as a duration."""
        if argument is None or not isinstance(value := self.fixed(argument, name), folding.Duration | Fraction):
            return self.ticks(argument, name)
        if value % clock.root_period != 0:
            what = f"{name} must be a whole number of ticks of clock {clock.name!r}: {duration_text(clock.root_period)}"
            raise self.refused(argument.where, what)
        return int(value // clock.root_period)

    def flag(self, argument: Argument | None, name: str, default: bool = False) -> bool:
        """A truth value."""
        value = default if argument is None else self.fixed(argument, name)
        if argument is not None and not isinstance(value, bool):
            raise self.refused(argument.where, f"{name} is True or False, not {folding.shown(value)}")
        return bool(value)

    def clock(self, argument: Argument | None) -> TTClock:
        """The clock given as `TTClock=`, the root if none is."""
        if argument is None:
            return ROOT
        self.evaluate_all([argument])
        value = argument.given
        if isinstance(value, Unknown):
            raise NoValue
        if not (isinstance(value, Constant) and isinstance(value.value, TTClock)):
            instead = "write `with TTClock.root() as c:` and give `c`"
            raise self.refused(argument.where, "`TTClock` takes a clock", instead)
        self.register(value.value, argument.where)
        return value.value

    def register(self, clock: TTClock, place: Place) -> None:
        """Add a clock and its parents to the graph's; at module level there is no graph."""
        for one in reversed(clock.ancestors()) if self._draft is not None else ():
            if one.parent is None:
                continue
            if one.name == "root":
                raise self.refused(place, "only the root clock is called 'root'", "name this one differently")
            if self.draft.clocks.setdefault(one.name, one) != one:
                what = f"two different clocks are called {one.name!r}"
                raise self.refused(place, what, "name one of them differently")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _arguments(number: int) -> str:
    return "no argument" if number == 0 else f"{number} argument{'s' if number > 1 else ''}"
