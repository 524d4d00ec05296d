"""The meanings of classes in a graph, and of values that a statement changes.

A class is no value in a graph, but `Config.RATE` is one: it is what is assigned to `RATE` in the class or its base. Of
an enumeration `Mode.FAST.value` and `Mode.FAST.name` are known. A class has none of them where a base, a decorator or a
statement may give it other ones.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from ticktalk.language.bindings import assigned_meanings, assignments, bound_names, not_known
from ticktalk.language.evaluation import Foreign, Meaning
from ticktalk.language.expressions import Expressions
from ticktalk.language.graph_draft import Constant
from ticktalk.source_problems import did_you_mean

_VALUE_TYPES: dict[str, set[type]] = {
    **{name: {object} for name in ("Enum", "Flag", "ReprEnum")},
    **{name: {object, int} for name in ("IntEnum", "IntFlag")},
    "StrEnum": {object, str},
    **{kind.__name__: {kind} for kind in (int, str, float)},
}
"""The bases of enumerations, each with the types that it makes of their values; those with `object` make one."""
_PLAIN_BASES = frozenset({"object", "ABC", "Generic", "Protocol"})
_LEAVE_CONSTANTS = frozenset({"dataclass", "final", "unique", "total_ordering"})
"""Decorators after which a class has the constants that its body assigns."""
_OTHER_MEMBERS = frozenset({"__new__", "_value_", "_name_", "value", "name"})
"""Names by which an enumeration, or a base of it, may give its members other values and names."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassName(Foreign):
    """A class: it has no meaning in a graph, but its constants have.

    Attributes:
        shown: its qualified name.
        twin: a class of the same bases, so that Python finds what is inherited. Its attributes are the meanings of the
            names that the body binds, with a dot before each name.
        value_types: the types that an enumeration makes of its members' values, and `object`; of others none.
    """

    shown: str
    twin: type
    value_types: frozenset[type] = frozenset()

    def find(self, name: str) -> Meaning | None:
        """The meaning of a name that is bound in the class or in a base."""
        found: Meaning | None = getattr(self.twin, f".{name}", None)
        return found

    def member(self, name: str) -> Meaning:
        """The constant of that name, or why it is none."""
        if (found := self.find(name)) is not None:
            return found
        own = [each[1:] for each in vars(self.twin) if each.startswith(".")]
        instead = did_you_mean(name, own) or "bind it to a literal in the class, or use it in the body of an SQ"
        return Foreign(f"`{self.shown}.{name}` is not known at compile time", instead)


@dataclass(frozen=True, slots=True, eq=False)
class EnumMember(Foreign):
    """A member of an enumeration: a graph knows its name and its value.

    Attributes:
        title: its name, or why it is not known; that of an alias is the name of the first member of that value.
        value: its value, or why it is not known.
    """

    title: Meaning
    value: Meaning

    def member(self, name: str) -> Meaning | None:
        """Its name or its value."""
        return {"name": self.title, "value": self.value}.get(name)


def class_meaning(node: ast.ClassDef, constants: Expressions, around: str = "") -> Foreign:
    """The meaning of a class; `around`: the name, with a dot, of the class in which it stands."""
    shown = f"{around}{node.name}"
    instead = f"give the SQ what it is made of, and write `{shown}(...)` in its body"
    unknown = Foreign(f"`{shown}` is a class, which has no meaning in a graph", instead)
    bases: list[ClassName] = []
    types: set[type] = set()
    constants.scopes = [{}]
    for base in node.bases:
        named, name = base.value if isinstance(base, ast.Subscript) else base, _last_name(base)
        found = constants.evaluate(named) if isinstance(named, ast.Name | ast.Attribute) else None
        if isinstance(found, ClassName) and found.find("__init_subclass__") is None:
            bases.append(found)
            types |= found.value_types
        elif name in _VALUE_TYPES:
            types |= _VALUE_TYPES[name]
        elif name not in _PLAIN_BASES:
            what = f"`{shown}` has the base `{ast.unparse(base)}`, which may give it other attributes"
            return Foreign(what, "bind the constant in a class without that base, or use it in the body of an SQ")
    is_enum = object in types
    if node.keywords or (types and not is_enum) or not all(map(_leaves_constants, node.decorator_list)):
        return unknown
    own, assigned = _bound_in(node, constants, shown)
    own |= dict.fromkeys(_hidden_names(node), unknown)
    if is_enum:
        others = any(name in own or any(base.find(name) for base in bases) for name in _OTHER_MEMBERS)
        own |= _members(shown, {name: own[name] for name in own if name in assigned}, types, others)
    try:
        twin = type(shown, tuple(base.twin for base in bases), {f".{name}": meaning for name, meaning in own.items()})
    except TypeError:  # no order of its bases has each before its own bases
        return unknown
    return ClassName(unknown.what, unknown.instead, shown, twin, frozenset(types))


def _bound_in(node: ast.ClassDef, constants: Expressions, shown: str) -> tuple[dict[str, Meaning], set[str]]:
    """The meanings of the names that the body of a class binds, and those of them that it assigns to."""
    own: dict[str, Meaning] = {}
    assigned: set[str] = set()
    for statement in node.body:
        own |= {name: not_known(f"{shown}.{name}", statement) for name in bound_names(statement)}
        if isinstance(statement, ast.ClassDef):
            own[statement.name] = class_meaning(statement, constants, f"{shown}.")
        for target, value in assignments(statement):
            meanings = assigned_meanings(constants, target, value, statement, own, f"{shown}.")
            own |= meanings
            assigned |= meanings.keys()
    return own, assigned


def _hidden_names(node: ast.ClassDef) -> Iterator[str]:
    """The names that a class has by its decorator, or sets in a method, if an enumeration would use them."""
    if any(_last_name(decorator) == "dataclass" for decorator in node.decorator_list):
        yield "__new__"  # an enumeration makes its values of it
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and inner.attr in _OTHER_MEMBERS:
            yield inner.attr


def _members(shown: str, values: Mapping[str, Meaning], types: Set[type], others: bool) -> dict[str, EnumMember]:
    """The members of an enumeration, by name.

    Args:
        types: those that it makes of its values.
        others: it has code that may give its members other values and names.
    """
    members: dict[str, EnumMember] = {}
    firsts: list[tuple[object, EnumMember]] = []
    for name, given in values.items():
        if name.startswith("__") or (name.startswith("_") and name.endswith("_")):
            continue
        value = given
        first = [same for known, same in firsts if isinstance(given, Constant) and known == given.value]
        if first:
            members[name] = first[0]
            continue
        title: Meaning = Constant(name)
        if others:
            title = Foreign(f"`{shown}.{name}.name` is not known at compile time", "use it in the body of an SQ")
        if others or not all(_stays(value, each) for each in types):
            value = Foreign(f"`{shown}.{name}.value` is not known at compile time", "use it in the body of an SQ")
        what = f"`{shown}.{name}` is a member of an enumeration, which a graph does not hand on"
        instead = f"give `{shown}.{name}.value`, and write `{shown}(...)` in the body of the SQ"
        members[name] = EnumMember(what, instead, title, value)
        if isinstance(given, Constant):
            firsts.append((given.value, members[name]))
    return members


def _stays(value: Meaning, made: type) -> bool:
    """True if an enumeration that makes its values a type leaves a value as it is."""
    if made is object:
        return True
    return isinstance(value, Constant) and isinstance(value.value, made) and not isinstance(value.value, bool)


def _leaves_constants(decorator: ast.expr) -> bool:
    """True if a class has the constants of its body after a decorator: with `slots`, fields take their places."""
    given = {each.arg for each in decorator.keywords} if isinstance(decorator, ast.Call) else set()
    return _last_name(decorator) in _LEAVE_CONSTANTS and given.isdisjoint({"slots", None})


def _last_name(node: ast.expr) -> str:
    """`dataclass` of `dataclasses.dataclass(frozen=True)`; `Generic` of `Generic[T]`."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    return ast.unparse(node).rpartition(".")[2]
