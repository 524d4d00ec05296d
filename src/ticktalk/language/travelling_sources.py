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
from functools import cached_property

from ticktalk.graph.graph import TTFunction, TTStatement
from ticktalk.language.bindings import bound_names, is_main_guard
from ticktalk.language.function_templates import (
    PACKAGES,
    Function,
    Template,
    components_in,
    is_ticktalk,
    module_of_call,
)
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
_NAMESPACE_ATTRIBUTES = frozenset({"__dict__", "__globals__"})

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
        _add_other_names(self._named, scope.tree)
        self._stars = {  # by a statement, the star imports in it
            each: stars
            for each in scope.tree.body
            if (stars := [node for node in statements_in(each) if _is_star(node)])
        }
        self._from_stars = {
            name for stars in self._stars.values() for node in stars for name in imported.bound_by_star(node)
        }
        self._lines = [line.encode("utf-8", "surrogatepass") for line in text.split("\n")]
        self._has_global = "global" in text
        self._has_namespace = any(name in text for name in _NAMESPACE_ATTRIBUTES)
        self._scope = scope
        self._tables = _tables(text)
        self._own_functions = {node.name for node in scope.tree.body if isinstance(node, Definition)}
        self._own_functions |= {name for name, modules in self._named.items() if any(map(imported.is_read, modules))}
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
        if template.module:
            needed = self._of_module(self._imported.taken([template.module]))
            return self._leading_to(needed) if needed else []
        # A body that names itself finds itself; only when another function calls it, it travels beside that, too.
        return self._leading_to(self._of_module(self._reads(template.node) - {template.name}))

    def _leading_to(self, needed: set[str]) -> list[Statement]:
        """The statements that these names need, directly or through others, in source order."""
        found: set[Statement] = set()
        needed = set(needed)
        grown = True
        while grown:
            grown = False
            for statement in self._statements:
                if statement not in found and not needed.isdisjoint(statement.binds | statement.mentions):
                    found.add(statement)
                    needed |= self._of_module(statement.reads) | _other_names(statement.node)
                    grown = True
        unresolved = any(not name.startswith(MODULE) and name not in self._binding for name in needed)
        kept: list[Statement] = []
        bound = False  # a needed name, which a star import may bind anew
        for statement in self._statements:
            bound = bound or not needed.isdisjoint(statement.binds)
            stars = self._stars.get(statement.node, [])
            star = bool(stars) and (unresolved or (bound and not all(map(_is_ours, stars))))
            if statement in found or _is_future(statement.node) or star:
                kept.append(statement)
        return kept

    def _of_module(self, names: set[str]) -> set[str]:
        """Those of `names` that the module binds, or may bind by `from ... import *`; `*` names all."""
        if "*" in names:
            names = names | self._binding.keys()
        own = self._binding.keys() | self._from_stars
        return {n for n in names if n in own or not (n == "sq_state" or hasattr(builtins, n))}

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
        return (
            name not in self._declared
            and len(nodes) == 1
            and isinstance(nodes[0], ast.Assign | ast.AnnAssign)
            and _is_unchangeable(nodes[0].value)
        )

    @cached_property
    def _declared(self) -> set[str]:
        """The names that functions of the module declare `global`."""
        nodes = ast.walk(self._scope.tree) if self._has_global else ()
        return {name for node in nodes if isinstance(node, ast.Global) for name in node.names}

    def _at_once(self, node: ast.stmt) -> set[str]:
        """The names in the code that a statement runs, as far as that may change something."""
        names = set(names_at_once(node))
        if self._has_namespace and not _NAMESPACE_ATTRIBUTES.isdisjoint(_attributes_in(node)):
            names.add("globals")
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
        return (names | self._changed_by_decorated(node)) - {node.name}

    def _changed_by_decorated(self, node: ast.stmt) -> set[str]:
        """The names whose values a function changes, if a decorator of the program may call it."""
        decorators = getattr(node, "decorator_list", []) if isinstance(node, Function) else []
        ours = self._scope.decorator_of(node)
        names = {each for one in decorators if ours is None or one is not ours[1] for each in names_at_once(one)}
        return _changed_in(node) if names & self._own_functions else set()

    def _reads(self, node: ast.stmt) -> set[str]:
        """The module's names that a statement reads: at once, or when the function it defines is called."""
        names = self._names_read(node) | self._own.read(node) | self._own.bound(node)
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


def _add_other_names(named: dict[str, set[str]], tree: ast.Module) -> None:
    """Add the names that assignments give to modules: `s = settings`, `s = importlib.import_module("settings")`."""
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        modules: set[str] = set()
        if isinstance(node.value, ast.Name):
            modules = named.get(node.value.id, set())
        elif module := module_of_call(node.value):
            modules = {module}
        for target in node.targets if modules else ():
            if isinstance(target, ast.Name):
                named.setdefault(target.id, set()).update(modules)


def _attributes_in(node: ast.AST) -> set[str]:
    return {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}


def _changed_in(node: ast.AST) -> set[str]:
    """The names whose values the code in it may change: `T.append(1)`, `T[0] = 1`, `T.x = 1`, `global T`."""
    changed: set[str] = set()
    for inner in ast.walk(node):
        held = inner.func if isinstance(inner, ast.Call) else inner
        if isinstance(held, ast.Attribute | ast.Subscript) and (
            held is not inner or not isinstance(held.ctx, ast.Load)
        ):
            while isinstance(held, ast.Attribute | ast.Subscript):
                held = held.value
            changed |= {held.id} if isinstance(held, ast.Name) else set()
        elif isinstance(inner, ast.Global):
            changed.update(inner.names)
    return changed


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


def _is_ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and is_ticktalk(node.module)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.level == 0
