"""The base of all evaluation of a graph body's expressions: scopes; values as ports, constants, truths, items.

How each kind of expression is evaluated is in `displays.py`, `operators.py` and `calls.py`; `targets.py` binds names.
`expressions.py` puts them together.

Nothing of the program is run: constants are computed here, by `ticktalk.language.folding`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self

from ticktalk.instructions import INSTRUCTIONS
from ticktalk.language import folding
from ticktalk.language.draft import Arc, Constant, GraphDraft, PortDraft
from ticktalk.language.folding import CannotFold
from ticktalk.language.meanings import UNKNOWN, Foreign, Listing, Meaning, Reference, Unknown, Value
from ticktalk.problems import Place, Problems

MOST_STEPS = 1_000_000
"""Steps of unrolling at compile time: a program that needs more never ends, or its graph is of no use."""


class GiveUp(Exception):
    """Evaluation cannot go on at all; the problem is reported already."""


class ModuleNames(Protocol):
    """What the names at module level mean in a graph."""

    def lookup(self, name: str) -> Meaning | None:
        """The meaning of a name that the module binds; None if it binds no such name."""

    def names(self) -> Iterable[str]:
        """All names that the module binds."""


class Evaluation:
    """Evaluates expressions in the scopes of a graph body.

    Args:
        problems: collects the mistakes.
        module: the names at module level.
        draft: the graph that is made; None at module level, where nothing makes an SQ.
        local_names: names that the graph body binds anywhere, so that they never mean the module's.
    """

    def __init__(
        self,
        problems: Problems,
        module: ModuleNames,
        draft: GraphDraft | None,
        local_names: frozenset[str] = frozenset(),
    ) -> None:
        self.problems = problems
        self.module = module
        self.draft = draft
        self.local_names = local_names
        self.scopes: list[dict[str, Meaning]] = [{}]
        self._steps = 0

    def evaluate(self, node: ast.expr) -> Meaning:
        """The value of an expression, or the function, module or construct that it names."""
        raise NotImplementedError

    def aside(self) -> Self:
        """An evaluation at module level whose problems are not reported."""
        return type(self)(Problems("", ""), self.module, None)

    def data(self, node: ast.expr) -> Value:
        """The value of an expression; a function, module or the like is a problem."""
        value = self.evaluate(node)
        if isinstance(value, Reference):
            if value.kind == "module":
                return self.problem(node, f"`{ast.unparse(node)}` is a module, not a value")
            return self.problem(
                node, f"`{ast.unparse(node)}` is not a value in a graph", f"call it: `{ast.unparse(node)}(...)`"
            )
        if isinstance(value, Foreign):
            return self.problem(node, value.what, value.instead)
        return value

    def operand(self, node: ast.expr) -> Arc | Constant | Unknown:
        """The value of an expression as it comes to a port."""
        return self.to_port(self.data(node), node)

    def problem(self, place: Place, what: str, instead: str = "") -> Unknown:
        """Report a problem; the value of the erroneous expression is unknown."""
        self.problems.report(place, what, instead)
        return UNKNOWN

    def spend(self, place: Place, steps: int = 1) -> None:
        """Count steps of unrolling.

        Raises:
            GiveUp: there were too many.
        """
        self._steps += steps
        if self._steps > MOST_STEPS:
            self.problem(
                place,
                f"too large to unroll: more than {MOST_STEPS} steps at compile time",
                "a graph's loops are unrolled; put the loop into an SQ",
            )
            raise GiveUp

    def bind(self, name: str, value: Meaning) -> None:
        """Let `name` mean `value` from here on; the first name an arc gets is its own."""
        if isinstance(value, Arc) and not value.name and value.source is not None:
            value.name = name
        self.scopes[-1][name] = value

    def computed(self, name: str, place: Place, operands: Sequence[Value], places: Sequence[Place]) -> Value:
        """The result of a primitive: computed here if all operands are known, else by a new SQ."""
        lowered = [self.lower(operand, at) for operand, at in zip(operands, places, strict=True)]
        known = [value.value for value in lowered if isinstance(value, Constant)]
        if len(known) == len(lowered):
            return self.fold(place, INSTRUCTIONS[name].compute, *known)
        return self.add(name, place, operands, places)

    def add(self, name: str, place: Place, operands: Sequence[Value], places: Sequence[Place]) -> Value:
        """A new SQ of a primitive whose ports are named by their positions."""
        ports = [self.to_port(operand, at) for operand, at in zip(operands, places, strict=True)]
        known = [PortDraft(str(index), port) for index, port in enumerate(ports) if not isinstance(port, Unknown)]
        if len(known) < len(ports) or self.draft is None:
            return UNKNOWN
        return self.draft.add(name, place, known).whole

    def to_port(self, value: Value, place: Place) -> Arc | Constant | Unknown:
        """`value` as a port takes it; a compile-time list with arcs becomes an SQ."""
        if isinstance(value, Listing):
            lowered = self.lower(value, place)
            if lowered is None:
                return self._listing_sq(value, place)
            value = lowered
        if isinstance(value, Constant):
            reason = folding.why_not_storable(value.value)
            if reason is not None:
                return self.problem(place, f"this constant cannot be given to an SQ: {reason}")
        return value

    def lower(self, value: Value, place: Place) -> Constant | Unknown | None:
        """The value if it is known at compile time; None if an arc is in it."""
        if isinstance(value, Constant | Unknown):
            return value
        if isinstance(value, Arc):
            return None
        self.spend(place, len(value.items))
        items: list[Any] = []
        has_arc = False
        for item in value.items:
            lowered = self.lower(item, place) if isinstance(item, Constant | Arc | Listing | Unknown) else UNKNOWN
            if isinstance(lowered, Unknown):
                return UNKNOWN
            if lowered is None:
                has_arc = True
            else:
                items.append(lowered.value)
        if has_arc:
            return None
        return Constant(tuple(items) if value.is_tuple else items)

    def lift(self, value: Any, frozen: bool = False) -> Value:
        """The constant `value`; lists in it as compile-time lists."""
        if type(value) is list:
            return Listing([self.lift(item, frozen) for item in value], frozen=frozen)
        return Constant(value)

    def known(self, value: Value, place: Place, what: str) -> Constant | Unknown:
        """`value`, which must be known at compile time; `what` names it in the message."""
        lowered = self.lower(value, place)
        if lowered is None:
            return self.problem(place, f"{what} must be known at compile time, but this is an arc")
        return lowered

    def truth(self, value: Value, place: Place) -> bool | Unknown | None:
        """The truth of a value that is known at compile time; None of an arc."""
        if isinstance(value, Listing):
            return bool(value.items)
        if isinstance(value, Arc):
            return None
        return self._truth_of(value, place)

    def items(self, value: Value, place: Place) -> list[Meaning] | None:
        """The items that a loop, an unpacking or a star sees; None when there was a problem."""
        if isinstance(value, Listing):
            return list(value.items)
        if isinstance(value, Constant):
            try:
                return [self.lift(item, frozen=True) for item in folding.items_of(value.value)]
            except CannotFold as error:
                self.problem(place, str(error))
        elif isinstance(value, Arc):
            self.problem(
                place,
                "the length of an arc's value is not known at compile time",
                "loop over a list of arcs, or put the loop into an SQ; `p, q = ...` unpacks a known number of elements",
            )
        return None

    def loop_items(self, node: ast.expr) -> list[Meaning]:
        """The items of a loop; after a problem, one that is unknown, so that the loop's body is seen."""
        value = self.data(node)
        if isinstance(value, Unknown):
            return [UNKNOWN]
        items = self.items(value, node)
        return [UNKNOWN] if items is None else items

    def fold(self, place: Place, function: Callable[..., Any], *operands: Any) -> Value:
        """The result of a computation with constants, as a value."""
        try:
            return self.lift(folding.fold(function, *operands))
        except CannotFold as error:
            return self.problem(place, str(error))

    def may_change(self, listing: Listing, place: Place) -> bool:
        """Whether a compile-time list can be changed here; if not, a problem is reported."""
        if listing.frozen:
            self.problem(place, "this list is part of a constant and cannot be changed", "copy it: `list(...)`")
            return False
        if self.draft is not None and self.draft.branch is not None:
            self.problem(
                place,
                "a list cannot be changed in a conditional expression, because it is changed at compile time",
                "write `xs.append(a if c else b)`",
            )
            return False
        return True

    @contextmanager
    def inner_scope(self) -> Iterator[None]:
        """The scope of a comprehension."""
        self.scopes.append({})
        try:
            yield
        finally:
            self.scopes.pop()

    def _truth_of(self, value: Constant | Unknown, place: Place) -> bool | Unknown:
        if isinstance(value, Unknown):
            return UNKNOWN
        folded = self.fold(place, bool, value.value)
        return folded.value if isinstance(folded, Constant) else UNKNOWN

    def _listing_sq(self, listing: Listing, place: Place) -> Arc | Unknown:
        """The `LIST` or `TUPLE` SQ of a compile-time list; a tuple cannot change, so it becomes one only once."""
        if self.draft is None:
            return UNKNOWN
        if listing.arc is not None and self.draft.is_visible(listing.arc[1]):
            return listing.arc[0]
        items = [item for item in listing.items if isinstance(item, Constant | Arc | Listing | Unknown)]
        made = self.add("TUPLE" if listing.is_tuple else "LIST", place, items, [place] * len(items))
        if not isinstance(made, Arc):
            return UNKNOWN
        if listing.is_tuple:
            listing.arc = (made, self.draft.branch)
        return made
