"""The arguments of calls: how they are taken apart, evaluated and bound, and which are fixed at compile time."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ticktalk.language import folding
from ticktalk.language.draft import Arc, Constant, GraphDraft
from ticktalk.language.evaluation import Evaluation
from ticktalk.language.meanings import UNKNOWN, Listing, Unknown, Value
from ticktalk.language.templates import STREAM_KEYWORDS, Parameter
from ticktalk.problems import Place, did_you_mean
from ticktalk.time import ROOT, TTClock
from ticktalk.time.clock import whole_tick

MOST_TICKS = 2**62
"""Ticks of the root clock are less than this: 146,000 years."""
COMMON_KEYWORDS = ("TTName", "TTPersistent")
OPTIONAL = ast.Constant(None)
"""Stands for some default where only its presence matters."""

_ALL_KEYWORDS = {*STREAM_KEYWORDS, *COMMON_KEYWORDS, "TTPlanB", "TTTimeDeadline", "TTWillContinue", "TTTimeout"}


class Refused(Exception):
    """Nothing comes of this call; the problem is reported already."""


class Attempts:
    """Tries all parts of a call before it refuses the call, so that the problems of all parts show.

    `with attempts:` stands around each part, `check` at the end.
    """

    def __init__(self) -> None:
        self._good = True

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> bool:
        refused = kind is Refused
        self._good = self._good and not refused
        return refused

    def check(self) -> None:
        """Refuse the call if a part was refused.

        Raises:
            Refused: as it says.
        """
        if not self._good:
            raise Refused


@dataclass(slots=True)
class Argument:
    """An argument of a call.

    Attributes:
        place: where it stands.
        keyword: the keyword it is given by.
        value: its value, once it is evaluated.
        uncertain: it stands in place of the arguments that an erroneous star would have given.
    """

    place: ast.expr
    keyword: ast.keyword | None = None
    value: Value | None = None
    uncertain: bool = False

    @property
    def where(self) -> Place:
        """Where messages about it point: the keyword, if it has one."""
        return self.place if self.keyword is None else self.keyword

    @property
    def given(self) -> Value:
        """Its value, which is evaluated."""
        assert self.value is not None
        return self.value


class Arguments:
    """Reads the arguments of the calls in one graph body. A mistake is reported, then `Refused` is raised.

    Attributes:
        clocks: clocks other than the root by name, parents first.
    """

    def __init__(self, expressions: Evaluation) -> None:
        self.expressions = expressions
        self.clocks: dict[str, TTClock] = {}

    @property
    def draft(self) -> GraphDraft:
        """The graph that is made.

        Raises:
            Refused: at module level, where nothing makes an SQ.
        """
        if self.expressions.draft is None:
            raise Refused
        return self.expressions.draft

    def refused(self, place: Place, what: str, instead: str = "") -> Refused:
        """Report a problem; the caller raises the result."""
        self.expressions.problem(place, what, instead)
        return Refused()

    # -- as they stand

    def of(self, node: ast.expr) -> list[Argument]:
        """The arguments of a call (none, if it is no call); stars are taken apart, nothing else is evaluated."""
        if not isinstance(node, ast.Call):
            return []
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
            else:
                arguments += self._of_stars(keyword.value)
        return arguments

    def _of_stars(self, place: ast.expr) -> list[Argument]:
        """The arguments that `**` gives."""
        value = self.expressions.known(self.expressions.data(place), place, "what `**` takes apart")
        if isinstance(value, Constant) and isinstance(value.value, dict):
            arguments = []
            for name, item in value.value.items():
                made = ast.copy_location(ast.keyword(arg=str(name), value=place), place)
                arguments.append(Argument(place, made, self.expressions.lift(item)))
            return arguments
        if isinstance(value, Constant):
            self.expressions.problem(place, "`**` takes a dict that is known at compile time")
        return [Argument(place, value=UNKNOWN, uncertain=True)]

    def evaluate(self, arguments: Sequence[Argument]) -> None:
        """Evaluate the arguments that are not evaluated yet, from left to right."""
        for argument in arguments:
            if argument.value is None:
                argument.value = self.expressions.data(argument.place)

    def evaluate_for_sq(self, arguments: Sequence[Argument]) -> None:
        """As `evaluate`; compile-time lists that hold arcs become SQs."""
        for argument in arguments:
            if isinstance(argument.place, ast.GeneratorExp):
                self.expressions.problem(
                    argument.place, "a generator cannot be given to an SQ", "write a list: `[... for ...]`"
                )
                argument.value = UNKNOWN
            self.evaluate([argument])
            if isinstance(argument.value, Listing):
                argument.value = self.expressions.to_port(argument.value, argument.place)

    def bind(
        self,
        node: ast.expr,
        callee: str,
        parameters: Sequence[Parameter],
        arguments: Sequence[Argument],
        keywords: Sequence[str] = (),
    ) -> dict[str, Argument]:
        """The arguments of a call by parameter.

        Args:
            node: the call.
            callee: its name, for messages.
            parameters: in their order; those with a default may be left out.
            arguments: the arguments.
            keywords: further parameters, by keyword only.

        Raises:
            Refused: they do not fit.
        """
        if any(argument.uncertain for argument in arguments):
            raise Refused
        attempts, shown = Attempts(), f"`{callee}`"
        bound: dict[str, Argument] = {}
        positional = [parameter for parameter in parameters if not parameter.keyword_only]
        named = [parameter.name for parameter in parameters if not parameter.positional_only]
        taken = 0
        for argument in arguments:
            if argument.keyword is None:
                if taken >= len(positional):
                    raise self.refused(
                        argument.place,
                        f"{shown} takes {_count(len(positional), 'argument')}, this is one too many",
                        f"its parameters are {_listed(p.name for p in parameters)}" if positional else "",
                    )
                name = positional[taken].name
                taken += 1
            else:
                name = str(argument.keyword.arg)
            with attempts:
                if argument.keyword is not None and name not in named and name not in keywords:
                    raise self._unknown_keyword(argument, name, shown, [*named, *keywords])
                before = bound.get(name)
                bound[name] = argument
                if before is not None:
                    raise self.refused(argument.where, f"`{name}` is given twice to {shown}", "give it once")
        attempts.check()
        needed = [parameter.name for parameter in parameters if parameter.default is None]
        missing = [name for name in needed if name not in bound]
        if missing:
            call = f"{callee}({', '.join(needed)})"
            raise self.refused(node, f"{shown} is missing {_listed(missing)}", f"write `{call}`")
        return bound

    def _unknown_keyword(self, argument: Argument, name: str, shown: str, known: Sequence[str]) -> Refused:
        if name in STREAM_KEYWORDS:
            what = f"`{name}` is for calls of a @STREAMify function, not of {shown}"
            return self.refused(argument.where, what, "leave it out")
        if name == "TTExecuteOnFullToken":
            what = "`TTExecuteOnFullToken` belongs in the signature of the function"
            return self.refused(argument.where, what, "leave it out")
        hint = did_you_mean(name, [*known, *_ALL_KEYWORDS]) or f"it takes {_listed(known)}"
        return self.refused(argument.where, f"{shown} has no parameter `{name}`", hint)

    # -- as ports, and as constants that are fixed at compile time; all of them raise `Refused` after a problem

    def port(self, argument: Argument) -> Arc | Constant:
        """The arc or constant that an evaluated argument brings to a port."""
        value = self.expressions.to_port(argument.given, argument.place)
        if isinstance(value, Unknown):
            raise Refused
        return value

    def fixed(self, argument: Argument, name: str) -> Any:
        """The constant given for a parameter that is fixed at compile time."""
        self.evaluate([argument])
        value = self.expressions.lower(argument.given, argument.place)
        if value is None:
            remedy = "give a constant" if name.startswith("TT") else "remove its default to make it an input"
            raise self.refused(argument.where, f"`{name}` is fixed at compile time, but this is an arc", remedy)
        if isinstance(value, Unknown):
            raise Refused
        reason = folding.why_not_storable(value.value)
        if reason is not None:
            raise self.refused(argument.where, f"`{name}`: {reason}")
        return value.value

    def ticks(
        self, argument: Argument | None, name: str, default: int, least: int | None = None, clock: TTClock | None = None
    ) -> int:
        """A whole number of ticks, in root ticks if they are a clock's."""
        if argument is None:
            return default
        value = self.fixed(argument, name)
        try:
            ticks = whole_tick(value, name)
        except (ValueError, TypeError):
            raise self.refused(
                argument.where, f"{name} must be a whole number, not {folding.shown(value)}",
                "count in ticks of a clock with a shorter period" if isinstance(value, float) else "",
            ) from None  # fmt: skip
        if least is not None and ticks < least:
            raise self.refused(argument.where, f"{name} must be at least {least}, not {folding.shown(ticks)}")
        if clock is not None:
            ticks *= clock.root_period
        if abs(ticks) >= MOST_TICKS:
            what = f"{name} is too large: it must be less than 2**62 ticks of the root clock"
            raise self.refused(argument.where, what)
        return ticks

    def flag(self, argument: Argument | None, name: str, default: bool) -> bool:
        """A truth value."""
        if argument is None:
            return default
        value = self.fixed(argument, name)
        if not isinstance(value, bool):
            raise self.refused(argument.where, f"{name} is True or False, not {folding.shown(value)}")
        return value

    def clock(self, argument: Argument | None) -> TTClock:
        """The clock given as `TTClock=`, the root if none is."""
        if argument is None:
            return ROOT
        self.evaluate([argument])
        value = argument.given
        if isinstance(value, Unknown):
            raise Refused
        if not (isinstance(value, Constant) and isinstance(value.value, TTClock)):
            raise self.refused(
                argument.where, "`TTClock` takes a clock", "write `with TTClock.root() as c:` and give `c`"
            )
        self.register(value.value, argument.where)
        return value.value

    def register(self, clock: TTClock, place: Place) -> None:
        """Add a clock and its parents to the graph's."""
        if self.expressions.draft is None:
            return
        for one in reversed(clock.ancestors()):
            if one.parent is None:
                continue
            if one.name == "root":
                raise self.refused(place, "only the root clock is called 'root'", "name this one differently")
            if self.clocks.setdefault(one.name, one) != one:
                what = f"two different clocks are called {one.name!r}"
                raise self.refused(place, what, "name one of them differently")


def parameters_named(required: Iterable[str], optional: Iterable[str] = ()) -> list[Parameter]:
    """The parameters of a construct or instruction; the optional ones come last."""
    return [*map(Parameter, required), *(Parameter(name, OPTIONAL) for name in optional)]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _count(number: int, noun: str) -> str:
    return f"no {noun}" if number == 0 else f"{number} {noun}{'s' if number > 1 else ''}"
