"""The types of values, as annotations say them, and whether a value of one type fits where another is wanted.

The rules are those of type checkers, with three differences. An unknown type fits everything. A container fits if its
items do, however it could be changed: a receiver has a copy of its own. A tuple of any length fits one of a certain
length. `docs/types.md` lists what is checked.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal

import msgspec

MOST_PARTS = 100
"""Parts of a type: a larger one is not known, as a chain of displays would grow without bound."""
MOST_ITEMS = 1000
"""Items of a constant that are looked at."""


class ProgramClass(msgspec.Struct, eq=False):
    """A class that is known by reading it.

    Attributes:
        name: as messages show it.
        kind: "library": a class of a well-known library, of which only the name is known.
        bases: types; `ANY` for one that is not known.
        members: the names that its body defines.
        fields: of a typed dict or named tuple, in order.
        required: the fields that a typed dict must have.
    """

    name: str
    kind: Literal["class", "protocol", "typed dict", "named tuple", "library"] = "class"
    bases: list[Type] = []
    members: set[str] = set()
    fields: dict[str, Type] = {}
    required: set[str] = set()

    @property
    def is_open(self) -> bool:
        """True if some base is not known."""
        return any(
            not isinstance(base, InstanceType) or (isinstance(base.cls, ProgramClass) and base.cls.is_open)
            for base in self.bases
        )

    def all_members(self) -> set[str]:
        """The names that it has, without those of bases that are not known."""
        found = {*self.members, *self.fields, *vars(object), "__dict__", "__module__", "__annotations__"}
        if self.kind in ("named tuple", "typed dict"):
            found |= _names_of(_AS_NAMED_TUPLES if self.kind == "named tuple" else dict)
        for base in self.bases:
            if isinstance(base, InstanceType):
                inner = base.cls
                found |= inner.all_members() if isinstance(inner, ProgramClass) else _names_of(inner)
        return found


class Anything(msgspec.Struct, frozen=True):
    """A type that is not known, or not checked."""

    def __str__(self) -> str:
        return "Any"


class InstanceType(msgspec.Struct, frozen=True):
    """Instances of a class, with the arguments in its brackets, if any."""

    cls: type | ProgramClass
    args: tuple[Type, ...] = ()

    def __str__(self) -> str:
        name = self.cls.name if isinstance(self.cls, ProgramClass) else self.cls.__name__
        if self.cls is type(None):
            return "None"
        return f"{name}[{', '.join(map(str, self.args))}]" if self.args else name


class TupleOf(msgspec.Struct, frozen=True):
    """Tuples of a certain length."""

    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self.items)) or '()'}]"


class UnionOf(msgspec.Struct, frozen=True):
    """One of some types; of none: there is never a value."""

    members: tuple[Type, ...]

    def __str__(self) -> str:
        return " | ".join(dict.fromkeys(map(str, self.members))) or "Never"


class KnownValue(msgspec.Struct, frozen=True, eq=False):
    """A value that is known: a constant, or one that `Literal` names."""

    value: Any

    def __str__(self) -> str:
        return f"Literal[{self.value!r}]"

    @property
    def widened(self) -> InstanceType:
        """The type of such values."""
        return InstanceType(type(self.value))


class Variable(msgspec.Struct, frozen=True, eq=False):
    """A type variable: any type below `bound`, or one of `choices`."""

    name: str
    bound: Type
    choices: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return self.name


Type = Anything | InstanceType | TupleOf | UnionOf | KnownValue | Variable
Solution = dict[Variable, "Type"]
"""The types that type variables stand for in one call."""

ANY = Anything()
NONE = InstanceType(type(None))
BOOL = InstanceType(bool)

_AS_NAMED_TUPLES = collections.namedtuple("_AS_NAMED_TUPLES", ())
"""Has the methods of all named tuples."""
_PROMOTED: dict[type, tuple[type, ...]] = {
    int: (float, complex), float: (complex,), bytearray: (bytes,), memoryview: (bytes,),
}  # fmt: skip
"""Types that type checkers take for another one."""


def union(types: Iterable[Type]) -> Type:
    """One of `types`."""
    members: dict[Type, None] = {}
    for each in types:
        if each is ANY:
            return ANY
        members.update(dict.fromkeys(each.members if isinstance(each, UnionOf) else (each,)))
    return next(iter(members)) if len(members) == 1 else UnionOf(tuple(members))


def fits(source: Type, target: Type, solution: Solution | None = None) -> bool:
    """False if a value of type `source` is surely wrong where `target` is wanted.

    `solution` takes what the type variables in `target` stand for.
    """
    if isinstance(target, Variable):
        return _solve(source, target, solution)
    if source is ANY or target is ANY:
        forget(target, solution)
        return True
    if isinstance(source, Variable):
        return fits(union(source.choices) if source.choices else source.bound, target, solution)
    if isinstance(source, UnionOf):
        return all(fits(member, target, solution) for member in source.members)
    if isinstance(target, UnionOf):
        members = sorted(target.members, key=lambda member: isinstance(member, Variable))
        if source == BOOL and any(isinstance(member, KnownValue) for member in members):
            return fits(BOOL, UnionOf(tuple(m for m in members if not isinstance(m, KnownValue)))) or all(
                fits(KnownValue(each), target) for each in (True, False)
            )
        return any(fits(source, member, solution) for member in members)
    if isinstance(source, KnownValue):
        return _value_fits(source.value, target, solution)
    if isinstance(target, KnownValue):
        return False
    if isinstance(target, TupleOf):
        items = _tuple_items(source)
        if items is not None:
            pairs = zip(items, target.items, strict=False)
            return len(items) == len(target.items) and all(fits(*pair, solution) for pair in pairs)
        return fits(source, InstanceType(tuple, (union(target.items),)), solution)
    if isinstance(source, TupleOf):
        source = InstanceType(tuple, (union(source.items),))
    assert isinstance(source, InstanceType) and isinstance(target, InstanceType)
    return _instance_fits(source, target, solution)


def can_meet(source: Type, target: Type) -> bool:
    """True if some value can be of both types: a condition may have made sure of it."""
    if isinstance(source, UnionOf):
        return any(can_meet(member, target) for member in source.members)
    if isinstance(target, UnionOf):
        return any(can_meet(source, member) for member in target.members)
    return fits(source, target) or fits(target, source)


def item_of(source: Type) -> Type | None:
    """The type of what an iteration gives; None if there is surely none."""
    if isinstance(source, UnionOf):
        items = [item_of(member) for member in source.members]
        return None if None in items else union(item for item in items if item is not None)
    if isinstance(source, KnownValue):
        if not isinstance(source.value, Iterable):
            return None
        return union(KnownValue(item) for item in islice(source.value, MOST_ITEMS))
    if isinstance(source, TupleOf):
        return union(source.items)
    if not isinstance(source, InstanceType):
        return ANY
    if isinstance(source.cls, ProgramClass):
        if (named := _tuple_items(source)) is not None:
            return union(named)
        if source.cls.kind == "typed dict":
            return InstanceType(str)
        found = [item_of(base) for base in source.cls.bases if isinstance(base, InstanceType)]
        return next((each for each in found if each is not None), ANY)
    if issubclass(source.cls, str):
        return InstanceType(str)
    if issubclass(source.cls, bytes | bytearray | memoryview | range):
        return InstanceType(int)
    if not issubclass(source.cls, Iterable):
        return None if source.cls in (int, float, complex, bool, type(None)) else ANY
    return source.args[0] if source.args else ANY


def substituted(source: Type, solution: Solution) -> Type:
    """`source` with what its type variables stand for; with `ANY`, where that is not known."""
    match source:
        case Variable():
            return solution.get(source, ANY)
        case InstanceType(args=args) if args:
            return InstanceType(source.cls, tuple(substituted(each, solution) for each in args))
        case TupleOf(items=items):
            return TupleOf(tuple(substituted(each, solution) for each in items))
        case UnionOf(members=members):
            return union(substituted(each, solution) for each in members)
    return source


def bounded(source: Type) -> Type:
    """`source`, or `ANY` if it is too large."""
    return ANY if next(islice(_parts(source), MOST_PARTS, None), None) is not None else source


def forget(target: Type, solution: Solution | None) -> None:
    """Let nothing be known of the type variables in `target`."""
    if solution is not None:
        solution.update((part, ANY) for part in _parts(target) if isinstance(part, Variable))


def _parts(source: Type) -> Iterator[Type]:
    """A type, and the types in it."""
    yield source
    match source:
        case InstanceType(args=parts) | TupleOf(items=parts) | UnionOf(members=parts):
            for part in parts:
                yield from _parts(part)


def _solve(source: Type, variable: Variable, solution: Solution | None) -> bool:
    if variable.choices:
        chosen = next((choice for choice in variable.choices if fits(source, choice)), None)
        if chosen is None:
            return False
        source = source if source is ANY else chosen
    elif not fits(source, variable.bound):
        return False
    if solution is not None:
        known = solution.get(variable, source)
        # Type checkers find the nearest type above both; what that is where parts are not known, is not known.
        certain = known == source or ANY not in [*_parts(known), *_parts(source)]
        solution[variable] = union([known, source]) if certain else ANY
    return True


def _tuple_items(source: Type) -> tuple[Type, ...] | None:
    """The types of a tuple's items, where their number is known."""
    if isinstance(source, TupleOf):
        return source.items
    if isinstance(source, InstanceType) and isinstance(source.cls, ProgramClass):
        if source.cls.kind == "named tuple":
            return tuple(source.cls.fields.values())
        found = (_tuple_items(base) for base in source.cls.bases)
        return next((items for items in found if items is not None), None)
    return None


def _value_fits(value: Any, target: Type, solution: Solution | None) -> bool:
    """`fits` for a constant, whose items are looked at one by one."""
    if isinstance(target, KnownValue):
        return type(value) is type(target.value) and bool(value == target.value)
    if isinstance(target, TupleOf):
        if not isinstance(value, tuple) or len(value) != len(target.items):
            return False
        return all(fits(KnownValue(item), each, solution) for item, each in zip(value, target.items, strict=True))
    assert isinstance(target, InstanceType)
    cls = target.cls
    if isinstance(cls, ProgramClass) and cls.kind == "typed dict" and isinstance(value, dict):
        return cls.required <= value.keys() <= cls.fields.keys() and all(
            fits(KnownValue(item), cls.fields[key], solution) for key, item in value.items()
        )
    if not _instance_fits(InstanceType(type(value)), target, solution):
        return False
    if isinstance(cls, ProgramClass) or isinstance(value, str | bytes):
        return True
    if isinstance(value, dict) and len(target.args) == 2:
        items = islice(value.items(), MOST_ITEMS)
        parts = [(KnownValue(each), arg) for item in items for each, arg in zip(item, target.args, strict=True)]
    elif isinstance(value, Iterable) and len(target.args) == 1 and _holds_items(cls):
        parts = [(KnownValue(item), target.args[0]) for item in islice(value, MOST_ITEMS)]
    else:
        return True
    return all(fits(*part, solution) for part in parts)


def _instance_fits(source: InstanceType, target: InstanceType, solution: Solution | None) -> bool:
    have, want = source.cls, target.cls
    if want is object or (want is Hashable and (isinstance(have, ProgramClass) or _abstract_of(have))):
        return True
    if isinstance(want, ProgramClass):
        return _fits_program_class(source, target, solution)
    if not isinstance(have, ProgramClass):
        if not any(want in wider and issubclass(have, narrow) for narrow, wider in _PROMOTED.items()):
            try:
                if not issubclass(have, want):
                    return False
            except TypeError:  # a class that cannot tell
                return True
        return _items_fit(source, target, solution)
    if have.kind == "typed dict":
        return fits(InstanceType(dict, (InstanceType(str), ANY)), target, solution)
    if (items := _tuple_items(source)) is not None:
        return fits(InstanceType(tuple, (union(items),)), target, solution)
    if any(fits(base, target, solution) for base in have.bases if isinstance(base, InstanceType)):
        return True
    if have.is_open:
        return True
    abstract = _abstract_of(want)
    if have.kind == "library" or not abstract:
        return bool(abstract)
    structural = "__subclasshook__" in vars(want) or getattr(want, "_is_protocol", False)
    return structural and abstract <= have.all_members()


def _fits_program_class(source: InstanceType, target: InstanceType, solution: Solution | None) -> bool:
    have, want = source.cls, target.cls
    assert isinstance(want, ProgramClass)
    if have is want:
        # Whether a class of the program's own can stand for one of other arguments is its own affair.
        pairs = zip(source.args, target.args, strict=False)
        return all((isinstance(b, Variable) and fits(a, b, solution)) or can_meet(a, b) for a, b in pairs)
    if isinstance(have, ProgramClass):
        if want.kind == "typed dict" and have.kind == "typed dict":
            return all(
                name in have.fields
                and (name in have.required or name not in want.required)
                and fits(have.fields[name], each, solution)
                for name, each in want.fields.items()
            )
        if have.is_open or any(fits(base, target, solution) for base in have.bases if isinstance(base, InstanceType)):
            return True
        if want.kind == "protocol":
            return have.kind == "library" or want.is_open or _wanted(want) <= have.all_members()
        return False
    if want.kind == "typed dict":
        if not issubclass(have, Mapping):
            return False
        key, item = _pair_of(source)
        return can_meet(InstanceType(str), key) and all(can_meet(item, want.fields[name]) for name in want.required)
    if want.kind == "protocol":
        return want.is_open or all(hasattr(have, name) for name in _wanted(want))
    return False


def _wanted(protocol: ProgramClass) -> set[str]:
    """The members that a protocol asks for, its bases' too."""
    found = set(protocol.members)
    for base in protocol.bases:
        if isinstance(base, InstanceType):
            inner = base.cls
            found |= _wanted(inner) if isinstance(inner, ProgramClass) else _abstract_of(inner)
    return found


def _names_of(cls: type) -> set[str]:
    return {name for each in cls.__mro__ for name in vars(each)}


def _abstract_of(cls: type) -> set[str]:
    """The methods that a class leaves to its subclasses."""
    return set(getattr(cls, "__abstractmethods__", ()))


def _items_fit(source: InstanceType, target: InstanceType, solution: Solution | None) -> bool:
    """True if the items of a container fit, where both sides say what they are."""
    want = target.cls
    assert isinstance(want, type)
    if len(target.args) == 2 and issubclass(want, Mapping):
        pairs = zip(_pair_of(source), target.args, strict=True)
        return all(fits(*pair, solution) for pair in pairs)
    if len(target.args) == 1 and _holds_items(want):
        item = item_of(source)
        return item is None or fits(item, target.args[0], solution)
    return True


def _holds_items(cls: type) -> bool:
    return issubclass(cls, Iterable) or cls.__name__ == "Container"


def _pair_of(source: InstanceType) -> tuple[Type, Type]:
    """The types of a mapping's keys and values."""
    if source.cls is collections.Counter and source.args:
        return source.args[0], InstanceType(int)
    return (source.args[0], source.args[1]) if len(source.args) == 2 else (ANY, ANY)
