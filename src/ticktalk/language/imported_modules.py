"""The ends of imports: the modules that run, and those whose tables, registries or states they change.

`import plugins` binds a name that no body may need, and yet `plugins` may register something in a module that a body
does need. So an import travels if a module that it runs acts at its top level on a module that is needed: by a call, a
decorator, a subclass, an assignment to an attribute or an item. So does `import seeds` where `seeds` calls
`random.seed`, for a body that needs `random`. Only modules that can be read are looked into; a library counts as one.
"""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ticktalk.language.bindings import bound_names, is_main_guard
from ticktalk.language.function_templates import PACKAGES
from ticktalk.language.names_of_module import NamesOfModule
from ticktalk.language.scope import statements_in

Tree = Callable[[str], tuple[ast.Module, str] | None]
"""The syntax tree of a module, and its package; None of one that is not looked into."""

Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Named = dict[str, set[str]]
"""By a name that imports bind, the modules in which it may lead to something; by `*`, those of star imports."""


class ImportedModules:
    """Finds what imports lead to, in a program whose modules are read by `tree`.

    `program` is the name under which these modules import the program itself.
    """

    def __init__(self, tree: Tree, program: str = "") -> None:
        self.program = program
        self._tree = functools.cache(tree)
        self._taken: dict[str, set[str]] = {}
        self._acted: dict[str, set[str]] = {}
        self._next: dict[tuple[str, bool], set[str]] = {}

    def named(self, nodes: Iterable[ast.AST], package: str = "") -> Named:
        """The modules that imports name, of a module of this package."""
        found: Named = {}
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    found.setdefault(alias.asname or first, set()).update({alias.name} | {first} - {alias.asname})
            elif isinstance(node, ast.ImportFrom):
                parts = package.split(".") if package else []
                outer = parts[: len(parts) + 1 - node.level] if node.level else []
                base = ".".join([*outer, *([node.module] if node.module else [])])
                for alias in node.names:
                    whole = f"{base}.{alias.name}" if base else alias.name
                    is_module = not base or (alias.name != "*" and self._tree(whole) is not None)
                    found.setdefault(alias.asname or alias.name, set()).add(whole if is_module else base)
        return found

    def is_read(self, module: str) -> bool:
        """True if a module is looked into."""
        return self._tree(module) is not None

    def bound_by_star(self, node: ast.stmt) -> set[str]:
        """The names that a star import of a module binds, if that is looked into."""
        known = self._tree(node.module) if isinstance(node, ast.ImportFrom) and node.module else None
        return set() if known is None else {name for each in known[0].body for name in bound_names(each)}

    def reached(self, modules: Iterable[str], when_called: bool = True) -> set[str]:
        """These modules, their packages and all that they import; or without what only their functions import."""
        found: set[str] = set()
        waiting = [*modules]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._imports(name, when_called)
        return {name if self._tree(name) is not None else name.partition(".")[0] for name in found}

    def _imports(self, name: str, when_called: bool) -> set[str]:
        """The package of a module, and the modules that it imports; of one that is not looked into, none."""
        if (name, when_called) not in self._next:
            known = self._tree(name)
            found: set[str] = set()
            if known is not None:
                tree, package = known
                nodes = ast.walk(tree) if when_called else _at_top(tree)
                found = {module for modules in self.named(nodes, package).values() for module in modules}
                found |= {name.rpartition(".")[0]} if "." in name else set()
            self._next[name, when_called] = found
        return self._next[name, when_called]

    def acted_on(self, modules: Iterable[str]) -> set[str]:
        """The other modules on which these act when they are imported, they themselves or what they import."""
        return {other for name in self.reached(modules, when_called=False) for other in self._acts(name)}

    def taken(self, modules: Iterable[str]) -> set[str]:
        """The names that these modules, and all that they import, use of the program itself."""
        return {taken for name in self.reached(modules) for taken in self._takes(name)}

    def _takes(self, name: str) -> set[str]:
        known = self._tree(name)
        if known is None:
            return set()
        if name not in self._taken:
            tree, _ = known
            of_program = NamesOfModule(self.program, tree)
            self._taken[name] = of_program.read(tree) | of_program.bound(tree)
        return self._taken[name]

    def _acts(self, name: str) -> set[str]:
        known = self._tree(name)
        if known is None:
            return set()
        if name not in self._acted:
            tree, package = known
            named = self.named(_at_top(tree), package)
            defined = {node.name: node for node in tree.body if isinstance(node, Definition)}
            acting = [node for node in tree.body if acts(node)]
            calls = _names_of([node for node in acting if not isinstance(node, Definition)], defined)
            # To define something by what a library has for it changes nothing there.
            behind = modules_behind(_names_of(acting, {**_assigned(tree), **defined}), named)
            beside = {other for other in behind if other == self.program or self._tree(other) is not None}
            libraries = {other.partition(".")[0] for other in modules_behind(calls, named) - beside if other}
            self._acted[name] = (beside | libraries) - {*PACKAGES, name}
        return self._acted[name]


def _assigned(tree: ast.Module) -> dict[str, ast.AST]:
    """The assignments of a module, by the name that they bind to something else's value: `TABLE = other.TABLE`."""
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute | ast.Subscript):
            found.update({target.id: node for target in node.targets if isinstance(target, ast.Name)})
    return found


def _names_of(nodes: Iterable[ast.stmt], defined: dict[str, Any]) -> set[str]:
    """The names in code that statements run, and in the functions and classes of the module that they name."""
    names = {each for node in nodes for each in names_at_once(node)}
    waiting = [*names & defined.keys()]
    while waiting:
        new = {node.id for node in ast.walk(defined[waiting.pop()]) if isinstance(node, ast.Name)} - names
        names |= new
        waiting += new & defined.keys()
    return names


def modules_behind(names: Iterable[str], named: Named) -> set[str]:
    """The modules in which names may lead to something."""
    stars = named.get("*", set())
    return {
        module
        for name in names
        for module in named.get(name, stars if stars and not hasattr(builtins, name) else set())
    }


def acts(node: ast.stmt) -> bool:
    """True if a statement at module level may do more than bind names: what it binds may be needed by no body."""
    if isinstance(node, ast.Import | ast.ImportFrom) or is_main_guard(node):
        return False
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(part, ast.Attribute | ast.Subscript) for each in targets for part in ast.walk(each))
    if isinstance(node, Definition):
        return bool(node.decorator_list or (isinstance(node, ast.ClassDef) and (node.bases or node.keywords)))
    inner = [each for each in statements_in(node) if each is not node]
    return any(map(acts, inner)) if inner else not isinstance(node, ast.Pass)


def names_at_once(node: ast.AST) -> Iterator[str]:
    """The names in the code that runs now: of functions only decorators, defaults and annotations."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Call):  # it may call the functions that it is given
            given = [node.func, *node.args, *[each.value for each in node.keywords]]
            waiting += [each.body if isinstance(each, ast.Lambda) else each for each in given]
            waiting += [each.args for each in given if isinstance(each, ast.Lambda)]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += run_by_function(node)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def run_by_function(node: ast.AST) -> list[ast.AST]:
    """The expressions that run when a function is made; none for other statements."""
    if isinstance(node, ast.Lambda):
        return [node.args]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, node.args, *([node.returns] if node.returns is not None else [])]
    return []


def _at_top(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported."""
    for statement in tree.body:
        if not is_main_guard(statement):
            yield from statements_in(statement)
