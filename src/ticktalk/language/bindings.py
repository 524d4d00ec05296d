"""The names that statements bind, and the meanings of those that are known at compile time.

A class is no value in a graph, but `Config.RATE` is one: it is what is assigned to `RATE` in the class or its base. Of
an enumeration `Mode.FAST.value` and `Mode.FAST.name` are known.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ticktalk.language.evaluation import Foreign, GiveUp, Listing, Meaning, Reference
from ticktalk.language.expressions import Expressions
from ticktalk.language.function_templates import DECORATORS, imported_names
from ticktalk.language.graph_draft import Constant
from ticktalk.source_problems import did_you_mean

_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum"})
_LEAVE_CONSTANTS = frozenset({"dataclass", "final", "unique", "total_ordering"})
"""Decorators after which a class has the constants that its body assigns."""


def bound_names(statement: ast.stmt, only_assigned: bool = False) -> set[str]:
    """The names that a statement binds in the scope in which it stands.

    `only_assigned`: those of `=`, `for`, `with`, `except`, `match` and `:=`, not those of `import`, `def` and `class`.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names |= set() if only_assigned else {name}
                continue
            case ast.Import() | ast.ImportFrom():
                names.update(() if only_assigned else imported_names(node))
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                # A comprehension's targets are its own; only `:=` binds outside of it.
                names |= {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
                continue
            case ast.Lambda() | ast.AnnAssign(value=None):
                continue
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case (
                ast.ExceptHandler(name=str() as name)
                | ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
                | ast.MatchMapping(rest=str() as name)
            ):
                names.add(name)
        waiting.extend(ast.iter_child_nodes(node))
    return names


def assignments(statement: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment, each with the expression of its value; of other statements, none."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            return [(target, value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return [(target, value)]
        case ast.AugAssign(target=ast.Name(id=name) as target, value=value, op=operator):
            left = ast.copy_location(ast.Name(name, ast.Load()), target)
            return [(target, ast.copy_location(ast.BinOp(left, operator, value), value))]
    return []


def assigned_meanings(
    constants: Expressions,
    target: ast.expr,
    value: ast.expr,
    statement: ast.stmt,
    around: Mapping[str, Meaning],
    prefix: str = "",
) -> dict[str, Meaning]:
    """The meanings of the names that an assignment binds; `around`: those of the class in which it stands.

    `prefix`: the name of that class, with a dot.
    """
    names = {n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if not names:
        return {}
    bound: dict[str, Meaning] = {}
    constants.scopes = [dict(around), bound]
    try:
        meaning = constants.evaluate(value)
        if isinstance(target, ast.Name):
            constants.bind(target.id, meaning)
        elif isinstance(meaning, Constant | Listing):
            constants.assign(target, meaning)
    except (GiveUp, RecursionError, MemoryError):
        bound.clear()
    meanings: dict[str, Meaning] = {name: not_known(prefix + name, statement) for name in names}
    for name, found in bound.items():
        if isinstance(found, Constant | Listing | Reference | Foreign):
            meanings[name] = found
    return meanings


def not_known(name: str, statement: ast.stmt) -> Foreign:
    """The meaning of a name to which a statement binds what is not known at compile time."""
    instead = "bind it to a literal or to arithmetic on literals, or use it in the body of an SQ"
    value = getattr(statement, "value", None)
    called = ast.unparse(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    if called in DECORATORS:
        instead = f"write `@{called}` above a `def {name}(...):`"
    return Foreign(f"`{name}` (line {statement.lineno}) is not known at compile time", instead)


@dataclass(frozen=True, slots=True, eq=False)
class ClassName(Foreign):
    """A class: it has no meaning in a graph, but its constants have.

    Attributes:
        shown: its qualified name.
        own: the meanings of the names that its body binds.
        bases: those of its base classes that are known.
        is_enum: it is an enumeration; then `own` has the members.
    """

    shown: str
    own: Mapping[str, Meaning]
    bases: Sequence[ClassName] = ()
    is_enum: bool = False

    def member(self, name: str) -> Meaning:
        """The constant of that name, or why it is none."""
        found = self._find(name)
        if found is not None:
            return found
        instead = did_you_mean(name, self.own) or "bind it to a literal in the class, or use it in the body of an SQ"
        return Foreign(f"`{self.shown}.{name}` is not known at compile time", instead)

    def _find(self, name: str) -> Meaning | None:
        if name in self.own:
            return self.own[name]
        return next((found for base in self.bases if (found := base._find(name)) is not None), None)


@dataclass(frozen=True, slots=True, eq=False)
class EnumMember(Foreign):
    """A member of an enumeration: a graph knows its name and its value.

    Attributes:
        title: its name; that of an alias is the name of the first member of that value.
        value: its value, or why it is not known.
    """

    title: str
    value: Meaning

    def member(self, name: str) -> Meaning | None:
        """Its name or its value."""
        known: dict[str, Meaning] = {"name": Constant(self.title), "value": self.value}
        return known.get(name)


def class_name(node: ast.ClassDef, constants: Expressions, around: str = "") -> Foreign:
    """The meaning of a class; `around`: the name, with a dot, of the class in which it stands."""
    shown = f"{around}{node.name}"
    what, instead = f"`{shown}` is a class, which has no meaning in a graph", "use it in the body of an SQ"
    if node.keywords or not all(_last_name(each) in _LEAVE_CONSTANTS for each in node.decorator_list):
        return Foreign(what, instead)
    constants.scopes = [{}]
    bases = [base for base in map(constants.evaluate, node.bases) if isinstance(base, ClassName)]
    own: dict[str, Meaning] = {}
    for statement in node.body:
        for name in bound_names(statement):
            own[name] = not_known(f"{shown}.{name}", statement)
        if isinstance(statement, ast.ClassDef):
            own[statement.name] = class_name(statement, constants, f"{shown}.")
        for target, value in assignments(statement):
            own |= assigned_meanings(constants, target, value, statement, own, f"{shown}.")
    is_enum = any(_last_name(base) in _ENUMS for base in node.bases) or any(base.is_enum for base in bases)
    return ClassName(what, instead, shown, _with_members(shown, own) if is_enum else own, bases, is_enum)


def _with_members(shown: str, own: Mapping[str, Meaning]) -> dict[str, Meaning]:
    """The names that the body of an enumeration binds, with members in place of their values."""
    titles: list[tuple[object, str]] = []
    members: dict[str, Meaning] = {}
    for name, value in own.items():
        members[name] = value
        if name.startswith("_"):
            continue
        title = name
        if isinstance(value, Constant):
            title = next((title for same, title in titles if same == value.value), name)
            titles.append((value.value, title))
        if "__new__" in own:  # it may set another value
            value = Foreign(f"`{shown}.{name}.value` is not known at compile time", "use it in the body of an SQ")
        what = f"`{shown}.{name}` is a member of an enumeration, which a graph does not hand on"
        instead = f"give `{shown}.{name}.value`, and write `{shown}(...)` in the body of the SQ"
        members[name] = EnumMember(what, instead, title, value)
    return members


def _last_name(node: ast.expr) -> str:
    """`dataclass` of `dataclasses.dataclass(frozen=True)`; `Generic` of `Generic[T]`."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    return ast.unparse(node).rpartition(".")[2]
