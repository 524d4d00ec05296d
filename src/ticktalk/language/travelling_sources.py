"""The sources that travel with a graph: each body, and the module-level statements that it needs."""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ticktalk.graph.graph import TTFunction, TTStatement
from ticktalk.language.scope import ModuleScope, assigned_names, bound_names, is_main_guard, statements_in
from ticktalk.language.templates import FunctionNode, Template, components_in


@dataclass(slots=True, eq=False)
class Statement:
    """A module-level statement: the names that it binds, changes in place, and reads."""

    node: ast.stmt
    binds: set[str]
    changes: set[str]
    reads: set[str] = field(default_factory=set)


class TravellingSources:
    """Finds the sources that the bodies of a program need.

    Args:
        text: the program, its lines ended by newlines only.
        scope: its names.
    """

    def __init__(self, text: str, scope: ModuleScope) -> None:
        self._lines = [line.encode("utf-8", "surrogatepass") for line in text.split("\n")]
        self._scope = scope
        self._tables = _tables(text)
        self._statements = [
            Statement(node, bound_names(node), _changed_names(node), self._reads(node))
            for node in scope.tree.body
            if not is_main_guard(node) and not self._is_graph(node) and not _is_bare(node)
        ]
        self._binding: dict[str, list[Statement]] = {}
        for statement in self._statements:
            for name in statement.binds | statement.changes:
                self._binding.setdefault(name, []).append(statement)

    def travel(self, used: Iterable[Template]) -> tuple[dict[str, TTFunction], list[TTStatement], list[ast.stmt]]:
        """The bodies by name, the statements they need, and the nodes of all that travels."""
        needed = {template.name: self._needed(template) for template in used}
        somewhere = {id(statement) for statements in needed.values() for statement in statements}
        kept = [statement for statement in self._statements if id(statement) in somewhere]
        position = {id(statement): index for index, statement in enumerate(kept)}
        functions: dict[str, TTFunction] = {}
        for template in used:
            line, source = self._source(template.node)
            statements = needed[template.name]
            components = list(template.components)
            for statement in statements:
                components += [c for c in self._components(statement) if c not in components]
            needs = sorted(position[id(statement)] for statement in statements)
            functions[template.name] = TTFunction(template.name, line, source, needs, components)
        nodes: list[ast.stmt] = [template.node for template in used] + [statement.node for statement in kept]
        return functions, [self._as_data(statement) for statement in kept], nodes

    def add_components(self, templates: Iterable[Template]) -> None:
        """Give each template the component names that the module's functions it needs ask for."""
        for template in templates:
            for statement in self._needed(template):
                template.components += [c for c in self._components(statement) if c not in template.components]

    def _components(self, statement: Statement) -> list[str]:
        return components_in(statement.node, self._scope.imports, self._scope.bound)[0]

    def _needed(self, template: Template) -> list[Statement]:
        """The statements that a body needs, directly or through others, in source order."""
        found: set[int] = set()
        # A body that names itself finds itself; only when another function calls it, it travels beside that, too.
        waiting = [*(self._reads(template.node) - {template.name})]
        seen: set[str] = set()
        unresolved = False
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            statements = self._binding.get(name)
            if statements is None:
                unresolved = unresolved or (name != "sq_state" and not hasattr(builtins, name))
                continue
            for statement in statements:
                if id(statement) not in found:
                    found.add(id(statement))
                    waiting.extend(statement.reads)
        return [
            statement
            for statement in self._statements
            if id(statement) in found or _is_future(statement.node) or (unresolved and _is_star(statement.node))
        ]

    def _reads(self, node: ast.stmt) -> set[str]:
        """The module's names that a statement reads: at once, or when the function it defines is called."""
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return _names_in([node])
        outside: list[ast.AST] = [d for d in node.decorator_list if not self._is_ours(node, d)]
        if isinstance(node, ast.ClassDef):
            outside += [*node.bases, *node.keywords]
        else:
            arguments = node.args
            outside += [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]
            parameters = [
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
                arguments.vararg,
                arguments.kwarg,
            ]
            outside += [p.annotation for p in parameters if p is not None and p.annotation is not None]
            outside += [node.returns] if node.returns is not None else []
        table = self._tables.get((node.name, node.lineno))
        return _names_in(outside) | (_names_in([node]) if table is None else _global_names(table))

    def _is_ours(self, node: FunctionNode | ast.ClassDef, decorator: ast.expr) -> bool:
        found = self._scope.decorator_of(node)
        return found is not None and found[1] is decorator

    def _is_graph(self, node: ast.stmt) -> bool:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        found = self._scope.decorator_of(node)
        return found is not None and found[0] == "GRAPHify"

    def _as_data(self, statement: Statement) -> TTStatement:
        line, source = self._source(statement.node)
        return TTStatement(line, source, sorted(assigned_names(statement.node)))

    def _source(self, node: ast.stmt) -> tuple[int, str]:
        """The text of a statement without a decorator of ours, and the line at which it begins."""
        first, column = node.lineno, node.col_offset
        gone: range = range(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.decorator_list:
            found = self._scope.decorator_of(node)
            kept = [d for d in node.decorator_list if found is None or d is not found[1]]
            if found is not None:
                gone = range(found[1].lineno, (found[1].end_lineno or found[1].lineno) + 1)
            if kept:
                first = kept[0].lineno
        last = node.end_lineno or first
        lines = [b"" if number in gone else self._lines[number - 1] for number in range(first, last + 1)]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][column:]
        return first, b"\n".join(lines).decode("utf-8", "surrogatepass") + "\n"


def _tables(text: str) -> dict[tuple[str, int], symtable.SymbolTable]:
    """The symbol tables of the functions and classes at module level, by name and line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            top = symtable.symtable(text, "program", "exec")
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        return {}
    return {(table.get_name(), table.get_lineno()): table for table in top.get_children()}


def _global_names(top: symtable.SymbolTable) -> set[str]:
    """The names that a function or class, or anything inside it, looks up in the module."""
    names: set[str] = set()
    waiting = [top]
    while waiting:
        table = waiting.pop()
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        waiting.extend(table.get_children())
    return names


def _names_in(nodes: Iterable[ast.AST]) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _changed_names(statement: ast.stmt) -> set[str]:
    """The names whose objects a statement changes in place: `CONFIG["x"] = 1`, `helper.cache = {}`."""
    return set(_changed(statement))


def _changed(statement: ast.stmt) -> Iterator[str]:
    for inner in statements_in(statement):
        targets: list[ast.expr] = []
        if isinstance(inner, ast.Assign | ast.Delete):
            targets = list(inner.targets)
        elif isinstance(inner, ast.AugAssign | ast.AnnAssign):
            targets = [inner.target]
        for target in targets:
            for node in ast.walk(target):
                while isinstance(node, ast.Subscript | ast.Attribute):
                    node = node.value
                    if isinstance(node, ast.Name):
                        yield node.id


def _is_bare(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr)


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.level == 0
