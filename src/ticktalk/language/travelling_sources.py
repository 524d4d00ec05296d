"""The sources that travel with a graph: each body, and the module-level statements that it needs.

A body needs the names that it reads. Every statement that mentions a needed name travels, and the names it reads are
needed in turn. A statement mentions the names in it, and the names that their definitions read. With `def fill():
TABLE.append(1)`, the call `fill()` mentions `TABLE`. Three limits keep unrelated statements from running:

* A definition acts when it is called, not when it is made: its callers count as mentioning the names in its body.
* An assignment that shares only constants with a body changes nothing for it. Nor does one that shares a module through
  its calls.
* A statement that leads to the graph starts the program. It is no part of a body's module.

A body that needs a name of a module needs the module: with `from registry import HANDLERS`, a statement that acts on
`registry` by another name (`@register`) travels, and so does an import of a module that does (`imported_modules.py`).
Of a module that imports the program, the names that it takes there are needed, too (`names_of_module.py`).
"""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from ticktalk.graph.graph import TTFunction, TTStatement
from ticktalk.language.bindings import bound_names, is_main_guard
from ticktalk.language.function_templates import PACKAGES, Template, components_in
from ticktalk.language.imported_modules import (
    Definition,
    ImportedModules,
    acts,
    modules_behind,
    names_at_once,
    run_by_function,
)
from ticktalk.language.names_of_module import NamesOfModule, names_in_texts
from ticktalk.language.scope import ModuleScope, statements_in

BY_TEXT = frozenset({"globals", "exec", "eval"})
"""Functions that reach the module's names by text, wherever they are called."""

NAMESPACE = BY_TEXT | {"locals", "vars", "setattr"}
"""Functions that do so at module level."""

MODULE = "module "
"""Begins what stands for a module among the names that are needed and mentioned."""


@dataclass(slots=True, eq=False)
class Statement:
    """A module-level statement."""

    node: ast.stmt
    binds: set[str]
    reads: set[str]  # names that it looks up in the module, at once or when what it defines is called
    at_once: set[str]  # names in the code that it runs; of a definition, without the bodies of functions
    mentions: set[str] = field(default_factory=set)  # names by which it travels: those, and the ones they lead to


class TravellingSources:
    """Finds the sources that the bodies of a program need; the lines of `text` are ended by newlines only."""

    def __init__(self, text: str, scope: ModuleScope, imported: ImportedModules) -> None:
        self._imported = imported
        self._named = imported.named(inner for node in scope.tree.body for inner in statements_in(node))
        self._lines = [line.encode("utf-8", "surrogatepass") for line in text.split("\n")]
        self._scope = scope
        self._tables = _tables(text)
        self._own = NamesOfModule(imported.program, scope.tree, own=True)
        self._statements = [
            Statement(node, _bound(node) | self._set_in_own_module(node), self._reads(node), self._at_once(node))
            for place, node in enumerate(scope.tree.body)
            if not (is_main_guard(node) or node in scope.graphs or (_is_text(node) and place > 0))
        ]
        self._binding: dict[str, list[Statement]] = {}
        for statement in self._statements:
            for name in statement.binds:
                self._binding.setdefault(name, []).append(statement)
        for statement in self._statements:
            statement.mentions = self._mentioned(statement)

    def travel(
        self, used: Iterable[Template], elsewhere: Callable[[Template], TTFunction]
    ) -> tuple[dict[str, TTFunction], list[TTStatement], list[ast.stmt]]:
        """The bodies by their keys, the statements they need, and the nodes of all that travels of this module.

        `elsewhere` gives the body of another module, which may need statements of this one.
        """
        own = [template for template in used if not template.module]
        self.add_components(own)
        needed = {template.key: self._needed(template) for template in used}
        anywhere = {statement for statements in needed.values() for statement in statements}
        kept = [statement for statement in self._statements if statement in anywhere]
        position = {statement: index for index, statement in enumerate(kept)}
        functions = {template.key: self.function(template) for template in own}
        functions.update((template.key, elsewhere(template)) for template in used if template.module)
        for key, function in functions.items():
            function.needs = [position[statement] for statement in needed[key]]
        nodes: list[ast.stmt] = [template.node for template in own] + [statement.node for statement in kept]
        statements = [TTStatement(*self._source(each.node), sorted(self.assigned(each.node))) for each in kept]
        return functions, statements, nodes

    def function(self, template: Template) -> TTFunction:
        """A body of this module, without what it needs."""
        return TTFunction(template.name, *self._source(template.node), [], template.components)

    def assigned(self, node: ast.stmt) -> set[str]:
        """The names that a statement assigns, and those of functions that its decorators may make objects of."""
        decorated = {
            inner.name
            for inner in statements_in(node)
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.decorator_list
        }
        return bound_names(node, only_assigned=True) | self._set_in_own_module(node) | decorated

    def add_components(self, templates: Iterable[Template]) -> None:
        """Give each template the component names that the module's functions it needs ask for."""
        for template in templates:
            for statement in self._needed(template):
                asked = components_in(statement.node, self._scope.imports, self._scope.bound)[0]
                template.components += [name for name in asked if name not in template.components]

    def _needed(self, template: Template) -> list[Statement]:
        """The statements that a body needs, directly or through others, in source order."""
        found: set[Statement] = set()
        if template.module:
            needed = self._of_module(self._imported.taken([template.module]))
            if not needed:
                return []
        else:
            # A body that names itself finds itself; only when another function calls it, it travels beside that, too.
            needed = self._of_module(self._reads(template.node) - {template.name})
        grown = True
        while grown:
            grown = False
            for statement in self._statements:
                if statement not in found and not needed.isdisjoint(statement.binds | statement.mentions):
                    found.add(statement)
                    needed |= self._of_module(statement.reads) | _other_names(statement.node)
                    grown = True
        unresolved = any(not name.startswith(MODULE) and name not in self._binding for name in needed)
        return [
            statement
            for statement in self._statements
            if statement in found or _is_future(statement.node) or (unresolved and _is_star(statement.node))
        ]

    def _of_module(self, names: set[str]) -> set[str]:
        """Those of `names` that the module binds, or may bind by `from ... import *`; `*` names all."""
        if "*" in names:
            names = names | self._binding.keys()
        return {n for n in names if n in self._binding or not (n == "sq_state" or hasattr(builtins, n))}

    def _mentioned(self, statement: Statement) -> set[str]:
        """The names by which a statement travels."""
        if isinstance(statement.node, Definition) and self._scope.decorator_of(statement.node) is not None:
            return set()
        found = set(statement.at_once)
        waiting = [*found]
        while waiting:
            for behind in self._binding.get(waiting.pop(), ()):
                imports = isinstance(behind.node, ast.Import | ast.ImportFrom)  # what it leads to is not acted on
                new = {name for name in behind.reads - found if not (imports and name.startswith(MODULE))}
                found |= new
                waiting.extend(new)
        if not found.isdisjoint(graph.name for graph in self._scope.graphs):
            return set()
        found = self._of_module(found)
        acted = self._acted_on(statement, found)
        if isinstance(statement.node, ast.Expr):
            return found | acted
        found = {name for name in found if not name.startswith(MODULE)}
        modules = {name for name in found if self._is_imported(name)}
        found -= modules - statement.at_once
        if isinstance(statement.node, Definition):
            found -= {name for name in modules if self._is_imported(name, sys.stdlib_module_names)}
        if isinstance(statement.node, ast.Assign | ast.AnnAssign) and NAMESPACE.isdisjoint(statement.at_once):
            found = {name for name in found if not self._is_constant(name)}
        return found | acted

    def _acted_on(self, statement: Statement, found: set[str]) -> set[str]:
        """The modules on which a statement acts, or a module that it imports."""
        node = statement.node
        modules = self._imported.acted_on(self._modules_in(statements_in(node)))
        if acts(node):
            named = modules_behind(found if isinstance(node, ast.Expr) else found & statement.at_once, self._named)
            # As with names: to define something by what a library has for it changes nothing there.
            unchanged = {*PACKAGES, *(sys.stdlib_module_names if isinstance(node, Definition) else ())}
            modules |= {module for module in named if module.partition(".")[0] not in unchanged}
        return {MODULE + module for module in modules}

    def _is_imported(self, name: str, of: Collection[str] | None = None) -> bool:
        """True if only imports bind a name, those of some modules only."""
        binding = self._binding.get(name)
        return binding is not None and all(
            isinstance(each.node, ast.Import | ast.ImportFrom) and (of is None or _modules(each.node) <= set(of))
            for each in binding
        )

    def _is_constant(self, name: str) -> bool:
        """True if the only binding of a name is an assignment of an immutable value."""
        nodes = [each.node for each in self._binding.get(name, ())]
        return len(nodes) == 1 and isinstance(nodes[0], ast.Assign | ast.AnnAssign) and _is_unchangeable(nodes[0].value)

    def _at_once(self, node: ast.stmt) -> set[str]:
        """The names in the code that a statement runs, as far as that may change something."""
        names = set(names_at_once(node))
        if names & NAMESPACE:
            names |= names_in_texts(node)
        modules = self._modules_in(statements_in(node))
        if self._imported.program in self._imported.acted_on(modules):
            names |= self._imported.taken(modules)
        if not isinstance(node, Definition):
            return names
        calls = (isinstance(inner, ast.Call) for part in run_by_function(node) for inner in ast.walk(part))
        if not (isinstance(node, ast.ClassDef) or node.decorator_list or any(calls)):
            return set()  # nothing happens but that its name is bound
        return names - {node.name}

    def _reads(self, node: ast.stmt) -> set[str]:
        """The module's names that a statement reads: at once, or when the function it defines is called."""
        names = self._names_read(node) | self._own.read(node)
        if not BY_TEXT.isdisjoint(names):
            names |= names_in_texts(node)
        modules = self._modules_in(ast.walk(node))  # in functions, too
        names |= self._imported.taken(modules)
        return names | {MODULE + module for module in self._imported.reached(modules)}

    def _set_in_own_module(self, node: ast.stmt) -> set[str]:
        """The names that a statement binds by way of the module itself: `this.LEVEL = 2`."""
        return set() if isinstance(node, Definition) else self._own.bound(node)

    def _modules_in(self, nodes: Iterable[ast.AST]) -> set[str]:
        """The modules to which the imports among some nodes lead."""
        return {module for modules in self._imported.named(nodes).values() for module in modules}

    def _names_read(self, node: ast.stmt) -> set[str]:
        if not isinstance(node, Definition):
            return _names_in([node])
        ours = self._scope.decorator_of(node)
        outside: list[ast.AST | None] = [d for d in node.decorator_list if ours is None or d is not ours[1]]
        if isinstance(node, ast.ClassDef):
            outside += [*node.bases, *node.keywords]
        else:
            outside += [node.args, node.returns]
        table = self._tables.get((node.name, node.lineno))
        return _names_in(outside) | (_names_in([node]) if table is None else _global_names(table))

    def _source(self, node: ast.stmt) -> tuple[int, str]:
        """The line at which a statement begins, and its text without a decorator of ours."""
        first, column = node.lineno, node.col_offset
        last = node.end_lineno or first
        gone = range(0)
        if ours := self._scope.decorator_of(node):
            gone = range(ours[1].lineno, (ours[1].end_lineno or ours[1].lineno) + 1)
        for decorator in getattr(node, "decorator_list", ()):
            if ours is None or decorator is not ours[1]:
                first = decorator.lineno
                break
        lines = [b"" if number in gone else self._lines[number - 1] for number in range(first, last + 1)]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][column:]
        source = b"\n".join(lines).decode("utf-8", "surrogatepass") + "\n"
        return first, source


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


def _names_in(nodes: Iterable[ast.AST | None]) -> set[str]:
    """The names that are looked up in them."""
    names = set()
    for node in (inner for each in nodes if each is not None for inner in ast.walk(each)):
        if isinstance(node, ast.AugAssign):
            node = node.target
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            continue
        if isinstance(node, ast.Name):
            names.add(node.id)
    return names


def _other_names(node: ast.stmt) -> set[str]:
    """The names that a statement gives to one object: `TABLE = CACHE = {}`."""
    if not isinstance(node, ast.Assign) or len(node.targets) == 1:
        return set()
    return {target.id for target in node.targets if isinstance(target, ast.Name)}


def _modules(node: ast.Import | ast.ImportFrom) -> set[str]:
    """The top-level modules that an import names."""
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0] if node.level == 0 else ""}
    return {alias.name.partition(".")[0] for alias in node.names}


def _is_unchangeable(node: ast.expr | None) -> bool:
    """True if an expression is a number, a text or a tuple of such, as it stands there."""
    if isinstance(node, ast.Tuple):
        return all(_is_unchangeable(item) for item in node.elts)
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement at module level binds; the text with which a program begins is its `__doc__`."""
    return {"__doc__"} if _is_text(node) else bound_names(node)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.level == 0
