"""The code that runs when modules are imported: their top levels, and the functions that these may call.

A function counts where its name, or that of its class, is mentioned by code that counts. The meaning of each
name and attribute is told by names alone.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ticktalk.language.bindings import is_main_guard
from ticktalk.language.function_templates import DECORATORS, Function

_CALLS_BY_TEXT = frozenset({"getattr", "methodcaller", "attrgetter"})
"""Functions that may call any function, by its name in a text."""
_KEEPING = frozenset({
    "lru_cache", "cache", "cached_property", "property", "staticmethod", "classmethod", "contextmanager",
    "abstractmethod", "dataclass", "overload", "wraps", "setter",
})  # fmt: skip
"""Decorators that do not call what they decorate."""
_GIVE_NO_INSTANCE = frozenset({
    "import_module", "__import__", "reload", "type", "getattr", "vars", "cast", "next", "choice", "super", "pop", "get",
})  # fmt: skip
"""Names of functions whose results may be modules or classes."""


@dataclass(slots=True, eq=False)
class CodeUnit:
    """A piece of code that runs as a whole: the top of a module, or the body of a function.

    Attributes:
        file: as messages show it; "" for the program.
        by: it runs if one of these names occurs in code that runs; none for one that always does.
        local: the names that mean variables of a function, or of one around it.
        declared: those that it declares `global`.
        decorators: of a function, which may call it.
        nodes: all of its nodes.
    """

    file: str
    by: frozenset[str] = frozenset()
    around: CodeUnit | None = None
    local: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    decorators: frozenset[str] = frozenset()
    nodes: list[ast.AST] = field(default_factory=list)

    def owner(self, name: str) -> CodeUnit:
        """The piece of code whose variable a name means."""
        unit = self
        while unit.around is not None and (name not in unit.local or name in unit.around.local):
            unit = unit.around
        return unit


Key = tuple[CodeUnit | None, str]
"""A variable of a piece of code; without one, an attribute of that name of anything."""


class CodeAtImport:
    """The code of modules, each a tree by its file as messages show it ("" for the program).

    Attributes:
        around: the node around each.
        unit_of: the piece in which each node stands.
        tops: the top of each file.
        bodies: the piece of each function and `lambda`.
        definitions: functions, and classes, at module level and in classes, by name.
        binders: what binds a variable.
    """

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self.around: dict[ast.AST, ast.AST] = {}
        self.unit_of: dict[ast.AST, CodeUnit] = {}
        self.tops: dict[str, CodeUnit] = {}
        self.bodies: dict[ast.AST, CodeUnit] = {}
        self.definitions: dict[str, list[ast.AST]] = defaultdict(list)
        self.binders: dict[Key, list[ast.AST]] = defaultdict(list)
        self._units: list[CodeUnit] = []
        self._defined: set[str] = set()  # names that are not only imported
        for file, tree in modules.items():
            in_classes = (node for each in tree.body for node in _statements_in_classes(each))
            declared = {name for node in in_classes if isinstance(node, ast.Global) for name in node.names}
            unit = self.tops[file] = CodeUnit(file, declared=frozenset(declared))
            self._units.append(unit)
            for statement in tree.body:
                if not is_main_guard(statement):
                    self._collect(statement, tree, unit)
        self.names: dict[Key, list[ast.Name]] = defaultdict(list)
        self.attributes: dict[str, list[ast.Attribute]] = defaultdict(list)
        self.imports: dict[str, list[ast.alias]] = defaultdict(list)
        self.calls: dict[str, list[ast.Call]] = defaultdict(list)
        self._mentions: dict[str, list[ast.AST]] = defaultdict(list)
        self._run()

    def key(self, node: ast.AST, name: str) -> Key:
        """The variable that a name means at a node."""
        return self.unit_of[node].owner(name), name

    def in_class(self, node: ast.AST) -> bool:
        """True if a node stands in the body of a class, in no function."""
        inside = node
        while not isinstance(node, ast.Module | ast.Lambda | Function):
            if isinstance(node, ast.ClassDef) and inside in node.body:
                return True
            inside, node = node, self.around[node]
        return False

    def statement(self, node: ast.AST) -> ast.AST:
        """The statement in which a node stands."""
        while not isinstance(node, ast.stmt):
            node = self.around[node]
        return node

    def is_instance(self, node: ast.AST) -> bool:
        """True if an expression is an object that is surely neither a module nor a class."""
        if not isinstance(node, ast.Name):
            return False
        binders = self.binders.get(self.key(node, node.id), [])
        return bool(binders) and all(map(self._binds_instance, binders))

    def _binds_instance(self, binder: ast.AST) -> bool:
        around = self.around[binder]
        if isinstance(binder, ast.arg):
            function = self.around[around]
            class_around = self.around[function]
            arguments = around.posonlyargs + around.args if isinstance(around, ast.arguments) else []
            if not (arguments and arguments[0] is binder and isinstance(class_around, ast.ClassDef)):
                return False
            named = {last_name(one) for one in getattr(function, "decorator_list", [])}
            named |= {last_name(one) for one in class_around.bases}
            return named.isdisjoint({"classmethod", "staticmethod", "type", "EnumMeta", "ABCMeta", "EnumType"})
        value = around.value if isinstance(around, ast.Assign | ast.AnnAssign) else None
        return isinstance(value, ast.Call) and last_name(value) not in _GIVE_NO_INSTANCE

    @cached_property
    def first_lines(self) -> dict[CodeUnit, float]:
        """The line of a module at which each piece may run at first; 0 if another module may run it."""
        first = {unit: 0.0 if unit.around is None else float("inf") for unit in self.unit_of.values()}
        changed = True
        while changed:
            changed = False
            for unit, before in first.items():
                lines = [self._line_of(node, unit, first) for name in unit.by for node in self._mentions.get(name, ())]
                lines += [first[unit.around]] if unit.around is not None and not unit.by else []
                if lines and min(lines) < before:
                    first[unit], changed = min(lines), True
        return first

    def _line_of(self, node: ast.AST, unit: CodeUnit, first: dict[CodeUnit, float]) -> float:
        by = self.unit_of[node]
        if by.file != unit.file:
            return 0
        return float(getattr(node, "lineno", 0)) if by.around is None else first[by]

    def _run(self) -> None:
        """Note the names in all pieces that run."""
        running: set[CodeUnit] = set()
        waiting = list(self._units)
        while ready := [unit for unit in waiting if self._runs(unit, running)]:
            running.update(ready)
            waiting = [unit for unit in waiting if unit not in running]
            for unit in ready:
                for node in unit.nodes:
                    self._note(node, unit)

    def _runs(self, unit: CodeUnit, running: set[CodeUnit]) -> bool:
        named = not unit.by or any(name in self._mentions for name in (*unit.by, *_CALLS_BY_TEXT))
        called = named or not unit.decorators <= _KEEPING - self._defined
        return called and (unit.around is None or unit.around in running)

    def _note(self, node: ast.AST, unit: CodeUnit) -> None:
        if isinstance(node, ast.Name):
            key = unit.owner(node.id), node.id
            self.names[key].append(node)
            if key[0].around is None or any(isinstance(each, Function) for each in self.binders.get(key, ())):
                self._mentions[node.id].append(node)
        elif isinstance(node, ast.Attribute):
            self.attributes[node.attr].append(node)
            self._mentions[node.attr].append(node)
        elif isinstance(node, ast.alias):
            self.imports[node.name.rpartition(".")[2]].append(node)
            self._mentions[node.name.rpartition(".")[2]].append(node)
        elif isinstance(node, ast.Call):
            self.calls[last_name(node)].append(node)

    def _collect(self, node: ast.AST, around: ast.AST, unit: CodeUnit) -> None:
        """Note a node and what is in it."""
        waiting = [(node, around, unit, "")]
        while waiting:
            node, around, unit, class_name = waiting.pop()
            self.around[node] = around
            self.unit_of[node] = unit
            unit.nodes.append(node)
            self._note_binding(node, unit)
            if isinstance(node, Function):
                outside = [*node.decorator_list, node.args, *([node.returns] if node.returns is not None else [])]
                waiting += [(inner, node, unit, "") for inner in outside]
                body = self._body(node, unit, class_name)
                waiting += [(inner, node, body, "") for inner in node.body if body is not None]
            elif isinstance(node, ast.Lambda):
                waiting.append((node.args, node, unit, ""))
                names = frozenset(each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg))
                body = self.bodies[node] = CodeUnit(unit.file, frozenset(), unit, unit.local | names)
                self._units.append(body)
                self._bind_parameters(node.args, body)
                waiting.append((node.body, node, body, ""))
            else:
                name = node.name if isinstance(node, ast.ClassDef) else class_name if isinstance(node, ast.stmt) else ""
                waiting += [(inner, node, unit, name) for inner in ast.iter_child_nodes(node)]

    def _body(self, node: Function, unit: CodeUnit, class_name: str) -> CodeUnit | None:
        """The piece of a function's body; None of a graph's, which runs nowhere."""
        ours = {last_name(decorator) for decorator in node.decorator_list} & DECORATORS
        if "GRAPHify" in ours:
            return None
        by = frozenset({node.name, class_name} - {""})
        if class_name == "" and node.name.startswith("__"):
            by = frozenset()  # a module's own `__getattr__`
        calling = frozenset(map(last_name, node.decorator_list)) - ours
        body = self.bodies[node] = CodeUnit(unit.file, by, unit, *_variables(node, unit.local), calling)
        self._units.append(body)
        self._bind_parameters(node.args, body)
        return body

    def _bind_parameters(self, arguments: ast.arguments, body: CodeUnit) -> None:
        for each in parameters_of(arguments):
            self.binders[body, each.arg].append(each)

    def _note_binding(self, node: ast.AST, unit: CodeUnit) -> None:
        if isinstance(node, ast.alias):
            name = (node.asname or node.name).partition(".")[0]
            self.binders[unit.owner(name), name].append(node)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            self.binders[unit.owner(node.id), node.id].append(node)
            self._defined.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._defined.add(node.name)
            if not isinstance(self.around[node], ast.ClassDef):
                self.binders[unit.owner(node.name), node.name].append(node)
            if unit.around is None:
                self.definitions[node.name].append(node)


def parameters_of(arguments: ast.arguments) -> list[ast.arg]:
    """All parameters of a signature."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [each for each in every if each is not None]


def last_name(node: ast.expr) -> str:
    """The name of what is called, or of an expression, without what is before its last dot; "" of any other."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _variables(node: Function, around: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The names that mean variables in a function, and those that it declares `global`."""
    names = {each.arg for each in parameters_of(node.args)}
    declared: set[str] = set()
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        inner = waiting.pop()
        match inner:
            case ast.Global():
                declared.update(inner.names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
                continue
            case ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name):
                names.add(name)
            case ast.alias():
                names.add((inner.asname or inner.name).partition(".")[0])
            case ast.Lambda():
                continue
        waiting.extend(ast.iter_child_nodes(inner))
    return frozenset((names | around) - declared), frozenset(declared)


def _statements_in_classes(node: ast.AST) -> Iterator[ast.AST]:
    """The statements of a class at module level, and of those in it."""
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            yield inner
            yield from _statements_in_classes(inner)
