"""Annotations: the types that they mean. Modules are read, never run; what cannot be read is not known.

A name of the standard library or of another library means a dotted path. Of a few modules of the standard library the
classes themselves are used, as they tell what they are classes of.
"""

from __future__ import annotations

import ast
import typing
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ticktalk.language.function_templates import Function, is_ticktalk
from ticktalk.language.scope import statements_in
from ticktalk.language.value_types import (
    ANY,
    NONE,
    InstanceType,
    KnownValue,
    ProgramClass,
    TupleOf,
    Type,
    UnionOf,
    Variable,
    bounded,
    union,
)

MOST_NESTED = 30
"""Names that lead to names, annotations in annotations: what is nested deeper is not known."""

_REAL = frozenset({
    "abc", "array", "builtins", "collections", "collections.abc", "datetime", "decimal", "enum", "fractions",
    "ipaddress", "numbers", "os", "pathlib", "types", "uuid", "zoneinfo",
})  # fmt: skip
"""Modules whose classes are used: importing one has no effect."""

_TYPING = ("typing", "typing_extensions")
_LIBRARY = {
    "numpy.ndarray": "ndarray", "numpy.typing.NDArray": "ndarray", "pandas.DataFrame": "DataFrame",
    "pandas.Series": "Series",
}  # fmt: skip
"""Classes of libraries that have nothing in common with other classes."""
_THROUGH = frozenset({"Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly"})
"""Forms of `typing` that mean their first argument."""
_NO_CLASSES = frozenset({"Any", "ByteString", "Callable", "Generic", "Protocol", "Type", "type"})
"""Names of which nothing is known, or nothing that a value could show."""

Tree = tuple[ast.Module, str]
"""The syntax tree of a module, and the dotted name of its package."""
DottedName = tuple[str, str]
"""A module that cannot be read, and a dotted name in it; "" for the module itself."""
Here = tuple[str, ast.stmt]
"""A module, and the statement in it that binds a name."""


class Annotations:
    """Gives the types of annotations; `tree_of` gives the tree of a module of which the program has the source."""

    def __init__(self, tree_of: Callable[[str], Tree | None]) -> None:
        self._tree_of = tree_of
        self._bindings: dict[str, dict[str, list[ast.stmt]]] = {}
        self._classes: dict[ast.stmt, ProgramClass] = {}
        self._variables: dict[ast.stmt, Variable] = {}
        self._library: dict[str, ProgramClass] = {}
        self._depth = 0

    def type_of(self, module: str, node: ast.expr | None, local: Mapping[str, Type] | None = None) -> Type:
        """The type that an annotation in a module means; `local`: type variables of its function or class."""
        if node is None or self._depth > MOST_NESTED:
            return ANY
        self._depth += 1
        try:
            return bounded(self._type_of(module, node, local or {}))
        except (RecursionError, SyntaxError, ValueError):
            return ANY
        finally:
            self._depth -= 1

    def variables(self, module: str, node: Function | ast.ClassDef | ast.stmt) -> dict[str, Type]:
        """The type variables in the brackets of a `def`, `class` or `type`."""
        found: dict[str, Type] = {}
        for parameter in getattr(node, "type_params", ()):
            bound = getattr(parameter, "bound", None)
            if type(parameter).__name__ != "TypeVar":
                found[parameter.name] = ANY
            elif isinstance(bound, ast.Tuple):
                choices = tuple(self.type_of(module, each, found) for each in bound.elts)
                found[parameter.name] = Variable(parameter.name, ANY, choices)
            else:
                found[parameter.name] = Variable(parameter.name, self.type_of(module, bound, found))
        return found

    def _type_of(self, module: str, node: ast.expr, local: Mapping[str, Type]) -> Type:
        match node:
            case ast.Constant(value=None):
                return NONE
            case ast.Constant(value=str() as text):
                return self.type_of(module, ast.parse(text.strip(), mode="eval").body, local)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return union([self.type_of(module, left, local), self.type_of(module, right, local)])
            case ast.Subscript(value=base, slice=inside):
                arguments = inside.elts if isinstance(inside, ast.Tuple) else [inside]
                return self._subscript(module, base, arguments, local)
            case ast.Name(id=name) if name in local:
                return local[name]
            case ast.Name() | ast.Attribute():
                return self._named(self._lookup(module, node))
        return ANY

    # -- names

    def _lookup(self, module: str, node: ast.expr) -> DottedName | Here | None:
        """The meaning of a name, or of the attribute of a module; None if it is not known."""
        if isinstance(node, ast.Name):
            return self._find(module, node.id, ("builtins", node.id))
        if not isinstance(node, ast.Attribute):
            return None
        match self._lookup(module, node.value):
            case (str() as other, ""):
                below = f"{other}.{node.attr}"
                return self._find(other, node.attr, (below, "") if self._tree_of(below) is not None else None)
            case (str() as other, str() as name):
                return other, f"{name}.{node.attr}"
            case (str() as home, ast.ClassDef(body=body)):
                inner = [each for each in body if isinstance(each, ast.ClassDef) and each.name == node.attr]
                return (home, inner[0]) if len(inner) == 1 else None
        return None

    def _find(self, module: str, name: str, unbound: DottedName | None = None) -> DottedName | Here | None:
        """The meaning of a name at the level of a module; `unbound`: where the module does not bind it."""
        tree = self._tree_of(module)
        if tree is None:
            return module, name
        if self._depth > MOST_NESTED:
            return None
        if module not in self._bindings:
            self._bindings[module] = _bindings(tree[0])
        bindings = self._bindings[module]
        self._depth += 1
        try:
            found = [self._bound(module, tree[1], statement, name) for statement in bindings.get(name, ())]
            for star in bindings.get("*", ()) if not found else ():
                assert isinstance(star, ast.ImportFrom)
                source = _source(star, tree[1])
                if source is None:
                    return None
                if self._tree_of(source) is not None:
                    if (inner := self._find(source, name)) is not None:
                        return inner
                elif is_ticktalk(source):
                    if name.startswith("TT"):
                        return source, name
                elif source not in (*_TYPING, *_REAL):
                    return None
                elif name in getattr(import_module(source), "__all__", ()):
                    return source, name
        finally:
            self._depth -= 1
        if not found:
            return unbound
        return found[0] if all(each == found[0] for each in found) else None

    def _bound(self, module: str, package: str, statement: ast.stmt, name: str) -> DottedName | Here | None:
        match statement:
            case ast.Import(names=names):
                for alias in names:
                    if (alias.asname or alias.name.split(".")[0]) == name:
                        return (alias.name if alias.asname else name), ""
            case ast.ImportFrom(names=names):
                source = _source(statement, package)
                for alias in names:
                    if source is not None and (alias.asname or alias.name) == name:
                        below = f"{source}.{alias.name}".lstrip(".")
                        if self._tree_of(below) is not None:
                            return below, ""
                        return self._find(source, alias.name) if source else None
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return None
            case _:
                return module, statement
        return None

    def _named(self, found: DottedName | Here | None) -> Type:
        match found:
            case (str() as module, str() as name):
                return self._elsewhere(module, name)
            case (str() as module, ast.ClassDef() as statement):
                return InstanceType(self._class(module, statement))
            case (str() as module, (ast.Assign() | ast.AnnAssign()) as statement):
                return self._assigned(module, statement)
            case (str() as module, ast.stmt() as statement) if type(statement).__name__ == "TypeAlias":
                return self.type_of(module, getattr(statement, "value", None), self.variables(module, statement))
        return ANY

    def _elsewhere(self, module: str, name: str) -> Type:
        """The type of a name that is not the program's."""
        module, _, name = f"{module}.{name}".rpartition(".")
        if name in _NO_CLASSES:
            return ANY
        if is_ticktalk(module):
            return UnionOf(()) if name == "TTEmpty" else ANY
        if module in _TYPING:
            if name in ("NoReturn", "Never"):
                return UnionOf(())
            if name in ("Text", "LiteralString"):
                return InstanceType(str)
            found = getattr(typing, name, None)
            found = typing.get_origin(found) or found
        else:
            if (library := _LIBRARY.get(f"{module}.{name}")) is not None:
                return InstanceType(self._library.setdefault(library, ProgramClass(library, "library")))
            found = getattr(import_module(module), name, None) if module in _REAL else None
        return InstanceType(found) if isinstance(found, type) else ANY

    def _assigned(self, module: str, statement: ast.Assign | ast.AnnAssign) -> Type:
        """The type of a name that is assigned: an alias, a type variable, or a new type."""
        value = statement.value
        if isinstance(value, ast.Call):
            match self._lookup(module, value.func):
                case (str() as place, "TypeVar") if place in _TYPING:
                    if statement not in self._variables:
                        self._variables[statement] = self._variable(module, value)
                    return self._variables[statement]
                case (str() as place, "NewType") if place in _TYPING and len(value.args) == 2:
                    if statement not in self._classes:
                        base = self.type_of(module, value.args[1])
                        self._classes[statement] = ProgramClass(ast.unparse(value.args[0]).strip("'\""), bases=[base])
                    return InstanceType(self._classes[statement])
            return ANY
        # A name is an alias if it is bound to what can be an annotation.
        is_alias = isinstance(value, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
        return self.type_of(module, value) if is_alias else ANY

    def _variable(self, module: str, call: ast.Call) -> Variable:
        bound = next((each.value for each in call.keywords if each.arg == "bound"), None)
        choices = tuple(self.type_of(module, each) for each in call.args[1:])
        return Variable(ast.unparse(call.args[0]).strip("'\""), self.type_of(module, bound), choices)

    # -- brackets

    def _subscript(self, module: str, base: ast.expr, arguments: list[ast.expr], local: Mapping[str, Type]) -> Type:
        found = self._lookup(module, base)
        name = found[1] if found is not None and found[0] in _TYPING else None
        if name == "Literal":
            return union(self._literal(module, each) for each in arguments)
        if name in _THROUGH and arguments:
            return self.type_of(module, arguments[0], local)
        if name in ("TypeGuard", "TypeIs"):
            return InstanceType(bool)
        if name in ("Concatenate", "Unpack") or any(isinstance(each, ast.Starred) for each in arguments):
            return ANY
        types = [self.type_of(module, each, local) for each in arguments]
        if name in ("Optional", "Union"):
            return union([*types, NONE] if name == "Optional" else types)
        outer = self._named(found)
        if not isinstance(outer, InstanceType):
            return ANY  # an alias with arguments, too
        cls = outer.cls
        if cls is tuple:
            last = arguments[-1] if arguments else None
            if isinstance(last, ast.Constant) and last.value is Ellipsis:
                return InstanceType(tuple, (types[0],))
            return TupleOf(tuple(types))
        if isinstance(cls, ProgramClass) and cls.kind == "library":
            return outer
        return InstanceType(cls, tuple(types))

    def _literal(self, module: str, node: ast.expr) -> Type:
        if isinstance(node, ast.Constant) and node.value is None:
            return NONE
        try:
            return KnownValue(ast.literal_eval(node))
        except (ValueError, TypeError):
            return self._named(self._lookup(module, node)) if isinstance(node, ast.Name) else ANY

    # -- classes

    def _class(self, module: str, node: ast.ClassDef) -> ProgramClass:
        if (known := self._classes.get(node)) is not None:
            return known
        cls = self._classes[node] = ProgramClass(node.name)
        local = self.variables(module, node)
        for base in node.bases:
            outer = base.value if isinstance(base, ast.Subscript) else base
            found = self._lookup(module, outer)
            name = found[1] if found is not None and found[0] in _TYPING else None
            if name == "Generic":
                continue
            match name:
                case "Protocol":
                    cls.kind = "protocol"
                case "NamedTuple":
                    cls.kind = "named tuple"
                case "TypedDict":
                    cls.kind = "typed dict"
                case _:
                    cls.bases.append(self.type_of(module, base, local))
        if any(keyword.arg == "metaclass" for keyword in node.keywords) and not cls.bases:
            cls.bases.append(ANY)
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            match self._lookup(module, called):
                case ("dataclasses", _):
                    cls.members.add("__dataclass_fields__")
                case ("functools" | "typing" | "typing_extensions" | "enum", _):
                    pass
                case _:  # it may give another class
                    cls.bases.append(ANY)
        self._read_members(module, node, cls, local)
        return cls

    def _read_members(self, module: str, node: ast.ClassDef, cls: ProgramClass, local: Mapping[str, Type]) -> None:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        total = given.get("total") != "False"
        for base in cls.bases:
            if isinstance(base, InstanceType) and isinstance(base.cls, ProgramClass) and base.cls.kind == "typed dict":
                cls.kind = "typed dict"
                cls.fields |= base.cls.fields
                cls.required |= base.cls.required
        for statement in node.body:
            for inner in statements_in(statement):
                cls.members |= {each for each in _names_bound(inner) if each}
            has_fields = cls.kind in ("typed dict", "named tuple")
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if has_fields:
                    cls.fields[name] = self.type_of(module, annotation, local)
                    form = annotation.value if isinstance(annotation, ast.Subscript) else annotation
                    last = form.attr if isinstance(form, ast.Attribute) else getattr(form, "id", "")
                    if cls.kind == "typed dict" and last != "NotRequired" and (total or last == "Required"):
                        cls.required.add(name)
                case ast.FunctionDef(args=ast.arguments(args=[first, *_])) if cls.kind != "protocol":
                    cls.members |= {
                        each.attr
                        for each in ast.walk(statement)
                        if isinstance(each, ast.Attribute)
                        and isinstance(each.ctx, ast.Store)
                        and isinstance(each.value, ast.Name)
                        and each.value.id == first.arg
                    }


def _bindings(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """The statements that bind each name of a module, wherever they stand; under "*" the star imports."""
    found: dict[str, list[ast.stmt]] = {}
    for outer in tree.body:
        for statement in statements_in(outer):
            for name in _names_bound(statement):
                found.setdefault(name, []).append(statement)
    return found


def _names_bound(statement: ast.stmt) -> list[str]:
    """The names that a statement binds itself, not by statements inside it; "*" of a star import."""
    targets: list[Any] = []
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=names):
            return [alias.asname or alias.name.split(".")[0] for alias in names]
        case ast.ImportFrom(names=names):
            return [alias.asname or alias.name for alias in names]
        case ast.Assign(targets=targets):
            pass
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target) | ast.For(target=target):
            targets = [target]
        case ast.With(items=items):
            targets = [item.optional_vars for item in items if item.optional_vars is not None]
        case _ if type(statement).__name__ == "TypeAlias":
            targets = [statement.name]  # type: ignore[attr-defined]
    return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]


def _source(statement: ast.ImportFrom, package: str) -> str | None:
    """The dotted name of the module from which names are imported; "" for the folder of the program itself."""
    if not statement.level:
        return statement.module
    parts = package.split(".") if package else []
    if len(parts) + 1 < statement.level:
        return None
    return ".".join([*parts[: len(parts) + 1 - statement.level], *([statement.module] if statement.module else [])])
