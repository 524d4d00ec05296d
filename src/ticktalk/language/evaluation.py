"""The base of all evaluation of a graph body: the meanings of expressions; values as ports, constants, truths, items.

`expressions.py` puts together how each kind of expression is evaluated. Nothing of the program is run: constants are
computed here, by `ticktalk.language.folding`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, TypeVarTuple

from ticktalk.durations import UNITS, duration_text
from ticktalk.instructions import INSTRUCTIONS
from ticktalk.language import folding
from ticktalk.language.function_templates import KNOWN, Function, Template
from ticktalk.language.graph_draft import Arc, Branch, Constant, GraphDraft, PortDraft
from ticktalk.source_problems import Place, Problems

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_STEPS = 1_000_000
"""Steps of unrolling at compile time: a program that needs more never ends, or its graph is of no use."""


@dataclass(slots=True, eq=False)
class Listing:
    """A compile-time list, or a tuple display that has not become an SQ (yet)."""

    items: list[Value]
    is_tuple: bool = False
    frozen: bool = False  # part of a constant, so a change of it would have no effect
    arc: tuple[Arc, Branch | None] | None = None  # (tuple) the SQ it became, and the branch in which it did


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A name that is no value: a function, graph, instruction, construct, builtin, or module.

    Attributes:
        kind: "module" is one of TickTalk's, "file" any other.
        name: as the program says it; of a file, its dotted name.
        template: of a function.
        node: of a graph.
        home: where a function or graph is defined.
        member: of a file: the meaning of a name in it, None if it has no such name.
    """

    kind: Literal["function", "graph", "instruction", "construct", "builtin", "module", "file"]
    name: str
    template: Template | None = None
    node: Function | None = None
    home: Home | None = None
    member: Callable[[str], Meaning | None] = lambda name: None


@dataclass(frozen=True, slots=True, eq=False)
class Foreign:
    """A module-level name without a meaning in a graph: the reason, and the remedy."""

    what: str
    instead: str

    def member(self, name: str) -> Meaning | None:
        """The meaning of an attribute that has one, as a constant of a class has."""
        return None


class Unknown:
    """The value of an erroneous expression: its use causes no further problem."""

    __slots__ = ()


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """A name that an import binds: its meaning is looked up at its use.

    Attributes:
        resolve: gives the meaning; its argument says whether libraries are looked into, too.
    """

    resolve: Callable[[bool], Meaning]


Resolve = Callable[[ast.Import | ast.ImportFrom, ast.alias, bool], "Meaning | None"]
"""Gives the meaning of a name that an import binds; the last argument says whether libraries are looked into, too."""


class ModuleNames(dict[str, "Meaning | Imported"]):
    """The names that a module binds.

    Attributes:
        resolve: looks up names that imports in this module bind; None of missing names.
        stars: of each star import, the function from a name of it to its meaning, or None.
        settled: takes a name and its meaning by its assignment, and gives that after all code of import has run.
    """

    def __init__(self, resolve: Resolve = lambda statement, alias, libraries: None) -> None:
        self.resolve = resolve
        self.stars: list[Callable[[str, bool], Meaning | None]] = []
        self.settled: Callable[[str, Meaning], Meaning] = lambda name, meaning: meaning

    def find(self, name: str, libraries: bool = True) -> Meaning | None:
        """The meaning of a name, None if it is not bound; `libraries`: imports from installed ones count."""
        found = self._assigned(name, libraries)
        return None if found is None else self.settled(name, found)

    def _assigned(self, name: str, libraries: bool) -> Meaning | None:
        found = self.get(name)
        if isinstance(found, Imported):
            return found.resolve(libraries)
        for star in reversed(self.stars) if found is None and name not in KNOWN and not name.startswith("_") else ():
            if (meaning := star(name, libraries)) is not None:
                return meaning
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """A module in which functions are defined.

    Attributes:
        name: its dotted name; "" for the program itself.
        file: its file below the place where it is found; "" for the program itself.
        names: the meanings of its names.
        problems: where the mistakes in its file go.
        earlier: by a default in a signature, the meanings of its names there that are bound anew below.
    """

    name: str
    file: str
    names: ModuleNames
    problems: Problems
    earlier: dict[ast.expr, dict[str, Meaning]] = field(default_factory=dict)


Value = Constant | Arc | Listing | Unknown
"""A value: an SQ or a computation can take it."""
Operand = tuple[Value, Place]
Meaning = Value | Reference | Foreign
"""All that a name or an expression can mean."""


class GiveUp(Exception):
    """Evaluation cannot go on at all; the problem is reported already."""


class NoValue(Exception):
    """An expression has no value, so it is unknown; the problem is reported already."""


class Attempts:
    """Tries all parts of an expression before it refuses the whole, so that the problems of all parts show.

    `with attempts:` stands around each part, `check` at the end.
    """

    def __init__(self) -> None:
        self._good = True

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> bool:
        if kind is NoValue:
            self._good = False
        return kind is NoValue

    def check(self) -> None:
        """Raise `NoValue` if a part was refused."""
        if not self._good:
            raise NoValue


class Evaluation:
    """Evaluates expressions in the scopes of a graph body. Its methods raise `NoValue` after a problem."""

    local_names: frozenset[str] = frozenset()  # that the graph body binds anywhere: they never mean the module's
    outer_branch: Branch | None = None  # the conditional branch in which the graph itself stands

    def __init__(self, problems: Problems, module: ModuleNames, draft: GraphDraft | None = None) -> None:
        self.problems = problems
        self.module = module  # the meanings of the names at module level
        self.scopes: list[dict[str, Meaning]] = [{}]
        self._draft = draft  # None at module level, where nothing makes an SQ
        self._steps = 0

    @property
    def draft(self) -> GraphDraft:
        """The graph that is made; at module level the use of it is refused."""
        if self._draft is None:
            raise NoValue
        return self._draft

    def evaluate(self, node: ast.expr) -> Meaning:
        """The value of an expression, or the function, module or construct that it names; never refused."""
        raise NotImplementedError

    def at_home(self, home: Home, node: ast.expr) -> Value:
        """The value of an expression at the level of another module, or of this one, never refused."""
        raise NotImplementedError

    def expand(self, node: ast.Call, callee: Reference) -> Value:
        """The value of the call of a graph, whose body is evaluated there."""
        raise NotImplementedError

    def refused(self, place: Place, what: str, instead: str = "") -> NoValue:
        """Report a problem; the caller raises the result."""
        self.problems.report(place, what, instead)
        return NoValue()

    def doubt_unit(self, place: Place, value: object, what: str) -> None:
        """Warn of a number without a unit that is less than a millisecond, or not whole: its unit may be forgotten.

        Args:
            value: a count of root ticks; a duration was written with its unit, and is not warned of.
            what: the expression, as the message shows it.
        """
        if isinstance(value, float) and not value.is_integer():
            meaning = f"{what} is no whole number of ticks, which are microseconds"
            self.problems.report(place, meaning, f"write s({value}) if seconds are meant", harmless=True)
        elif type(value) is int and 0 < value < UNITS["ms"]:
            meaning = f"{what} means {duration_text(value)}: numbers without a unit are ticks, which are microseconds"
            self.problems.report(place, meaning, f"write ms({value}), or us({value}) if that is meant", harmless=True)

    def seen(self, rule: Callable[[*Ts], T], *arguments: *Ts) -> T | Unknown:
        """The result of a rule; unknown if the rule refuses."""
        try:
            return rule(*arguments)
        except NoValue:
            return UNKNOWN

    def data(self, node: ast.expr) -> Value:
        """The value of an expression, never refused; a function, module or the like is a problem."""
        value = self.evaluate(node)
        if isinstance(value, Foreign):
            self.problems.report(node, value.what, value.instead)
        elif isinstance(value, Reference):
            shown = ast.unparse(node)
            if value.kind in ("module", "file"):
                self.problems.report(node, f"`{shown}` is a module, not a value")
            else:
                self.problems.report(node, f"`{shown}` is not a value in a graph", f"call it: `{shown}(...)`")
        else:
            return value
        return UNKNOWN

    def spend(self, place: Place, steps: int = 1) -> None:
        """Count steps of unrolling; `GiveUp` is raised when there were too many."""
        self._steps += steps
        if self._steps > MOST_STEPS:
            what = f"too large to unroll: more than {MOST_STEPS} steps at compile time"
            self.problems.report(place, what, "a graph's loops are unrolled; put the loop into an SQ")
            raise GiveUp

    def bind(self, name: str, value: Meaning) -> None:
        """Let `name` mean `value` from here on; the first name an arc gets is its own."""
        if isinstance(value, Arc) and not value.name:
            value.name = name
        self.scopes[-1][name] = value

    def computed(self, name: str, place: Place, operands: Sequence[Operand]) -> Value:
        """The result of a primitive: computed here if all operands are known, else by a new SQ."""
        lowered = [self.lower(*operand) for operand in operands]
        known = [value.value for value in lowered if isinstance(value, Constant)]
        if len(known) == len(lowered):
            return self.lift(self.compute(place, folding.fold, INSTRUCTIONS[name].compute, *known))
        return self.add(name, place, operands)

    def add(
        self, name: str, place: Place, operands: Sequence[Operand], names: Sequence[str] | None = None, **fields: Any
    ) -> Arc:
        """A new SQ of a primitive; its ports are named by their positions if no names are given."""
        ports: list[PortDraft] = []
        attempts = Attempts()
        for index, operand in enumerate(operands):
            with attempts:
                ports.append(PortDraft(names[index] if names else str(index), self.to_port(*operand)))
        attempts.check()
        return self.draft.add(name, place, ports, **fields).whole

    def to_port(self, value: Value, place: Place) -> Arc | Constant:
        """`value` as a port takes it; a compile-time list with arcs becomes a `LIST` or `TUPLE` SQ."""
        if isinstance(value, Arc):
            return value
        lowered = self.lower(value, place)
        if isinstance(lowered, Constant):
            self.check_storable(lowered.value, place, "this constant cannot be given to an SQ")
            return Constant(folding.settled(lowered.value))
        if not isinstance(value, Listing) or lowered is not None:
            raise NoValue
        if value.arc is not None and self.draft.is_visible(value.arc[1]):
            return value.arc[0]
        arc = self.add("TUPLE" if value.is_tuple else "LIST", place, [(item, place) for item in value.items])
        if value.is_tuple:
            # A tuple cannot change, so it becomes an SQ only once.
            value.arc = (arc, self.draft.branch)
        return arc

    def check_storable(self, value: Any, place: Place, what: str) -> None:
        """Refuse a constant that cannot be stored in a graph; `what` begins the message."""
        reason = folding.why_not_storable(value)
        if reason is not None:
            raise self.refused(place, f"{what}: {reason}")

    def lower(self, value: Value, place: Place) -> Constant | Unknown | None:
        """The value if it is known at compile time; None if an arc is in it."""
        if isinstance(value, Constant | Unknown):
            return value
        if isinstance(value, Arc):
            return None
        self.spend(place, len(value.items))
        items: list[Any] = []
        for item in value.items:
            lowered = self.lower(item, place)
            if isinstance(lowered, Unknown):
                return UNKNOWN
            if lowered is not None:
                items.append(lowered.value)
        if len(items) < len(value.items):
            return None
        return Constant(tuple(items) if value.is_tuple else items)

    def lift(self, value: Any, frozen: bool = False) -> Constant | Listing:
        """The constant `value`; lists in it as compile-time lists."""
        if type(value) is list:
            return Listing([self.lift(item, frozen) for item in value], frozen=frozen)
        return Constant(value)

    def known(self, value: Value, place: Place, what: str) -> Any:
        """The constant `value`, which must be known at compile time; `what` names it in the message."""
        lowered = self.lower(value, place)
        if lowered is None:
            instead = "give a constant, or do this in the body of an SQ"
            raise self.refused(place, f"{what} must be known at compile time, but this is an arc", instead)
        if isinstance(lowered, Unknown):
            raise NoValue
        return lowered.value

    def truth(self, value: Value, place: Place) -> bool | None:
        """The truth of a value, never refused; None if it is not known at compile time."""
        if isinstance(value, Listing):
            return bool(value.items)
        if isinstance(value, Constant):
            try:
                return bool(folding.fold(bool, value.value))
            except folding.CannotFold as error:
                self.problems.report(place, str(error))
        return None

    def items(self, value: Value, place: Place) -> list[Value]:
        """The items that a loop, an unpacking or a star sees."""
        if isinstance(value, Listing):
            return list(value.items)
        if isinstance(value, Constant):
            return [self.lift(item, frozen=True) for item in self.compute(place, folding.items_of, value.value)]
        if isinstance(value, Arc):
            instead = "loop over a list of arcs, or put the loop into an SQ"
            instead += "; `p, q = ...` unpacks a known number of elements"
            raise self.refused(place, "the length of an arc's value is not known at compile time", instead)
        raise NoValue

    def items_seen(self, value: Value, place: Place) -> list[Value]:
        """As `items`, never refused: after a problem there is one that is unknown, so that a loop's body is seen."""
        try:
            return self.items(value, place)
        except NoValue:
            return [UNKNOWN]

    def compute(self, place: Place, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a function of `folding`; refused if it cannot be computed."""
        try:
            return function(*arguments)
        except folding.CannotFold as error:
            raise self.refused(place, str(error)) from None

    def check_change(self, listing: Listing, place: Place) -> None:
        """Refuse to change a compile-time list where a change would not have its effect."""
        if listing.frozen:
            raise self.refused(place, "this list is part of a constant and cannot be changed", "copy it: `list(...)`")
        if self._draft is not None and self._draft.branch is not self.outer_branch:
            what = "a list cannot be changed in a conditional expression, because it is changed at compile time"
            raise self.refused(place, what, "write `xs.append(a if c else b)`")
