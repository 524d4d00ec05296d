"""The meaning of module-level names in a graph: templates, constants, TickTalk's constructs, or none."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import starmap

from ticktalk.language.annotation_names import check_names
from ticktalk.language.bindings import (
    Compound,
    assigned_meanings,
    assignments,
    bound_names,
    is_main_guard,
    not_known,
)
from ticktalk.language.body_names import BodyNames
from ticktalk.language.classes import class_meaning
from ticktalk.language.evaluation import (
    Foreign,
    Home,
    Imported,
    Listing,
    Meaning,
    ModuleNames,
    Reference,
    Resolve,
)
from ticktalk.language.expressions import Expressions, reference_to
from ticktalk.language.function_templates import (
    DECORATORS,
    KNOWN,
    Function,
    Template,
    construct_of,
    is_ticktalk,
    our_names,
    read_template,
    refuse_missing_modules,
    stream_settings_in,
)
from ticktalk.language.graph_draft import Constant
from ticktalk.module_search import find_module
from ticktalk.source_problems import Problems


class ModuleScope:
    """The module level of a program, or of the module `name` that it imports; `file`: as of `Home`."""

    def __init__(self, tree: ast.Module, problems: Problems, resolve: Resolve, name: str = "", file: str = "") -> None:
        self.tree = tree
        self.imports: dict[str, str] = {}  # names bound to objects of TickTalk by an import, with their dotted paths
        self.bound: set[str] = set()  # names bound to anything
        self.templates: dict[str, Template] = {}  # the decorated functions by name
        self.graphs: list[Function] = []
        self.misplaced = False  # whether a graph stands where none is found
        # Mistakes at another module's own level matter only where they are used.
        self._problems = problems.beside() if name else problems
        self.meanings = ModuleNames(resolve)  # the meaning in a graph of the names that the module binds
        self.home = Home(name, file, self.meanings, problems)
        self._decorators: dict[ast.stmt, tuple[str, ast.expr] | None] = {}
        for statement in tree.body:
            for name in bound_names(statement):
                self.bound.add(name)
                self.imports.pop(name, None)
            for inner in statements_in(statement):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    self.imports.update(our_names(inner))
        self._body_names = BodyNames(tree, self.bound)
        # Constants are computed in the order of the statements. Problems are thrown away: a name whose value is not
        # known at compile time matters only where a graph uses it.
        self._constants = Expressions(Problems(problems.file, ""), self.meanings)
        for statement in tree.body:
            self._read(statement)
        for earlier in self.home.earlier.values():
            for name, meaning in list(earlier.items()):
                if self.meanings.get(name) is meaning:
                    del earlier[name]  # it is not bound anew
                elif _can_change(meaning):
                    what = f"`{name}` is bound anew below, and what a default has of it may be changed"
                    earlier[name] = Foreign(what, "give what is bound there another name")
        kept = {n: t for n, t in self.templates.items() if getattr(self.meanings.get(n), "template", None) is t}
        for template in self.templates.values():
            for keyword, stream in stream_settings_in(template.node, kept):
                what = f"`{keyword.arg}` in the body of `{template.name}`, where `{stream.name}` is the plain function"
                own = problems.beside()
                own.report(keyword, what, f"call the stream in the graph, and give `{template.name}` what it sends")
                template.mistakes += own.found

    def exports(self, name: str) -> bool:
        """True if a star import binds that name, as far as `__all__` is known."""
        listed = self.meanings.get("__all__")
        items = (
            [each.value for each in listed.items if isinstance(each, Constant)] if isinstance(listed, Listing) else []
        )
        return not isinstance(listed, Listing) or name in items

    def decorator_of(self, node: ast.stmt) -> tuple[str, ast.expr] | None:
        """The decorator of a function (`SQify`, `STREAMify`, `GRAPHify`), and its place; None of other statements."""
        if node not in self._decorators:  # asked first where it is read: its name may be bound anew below
            self._decorators[node] = self._find_decorator(node)
        return self._decorators[node]

    def _find_decorator(self, node: ast.stmt) -> tuple[str, ast.expr] | None:
        for decorator in getattr(node, "decorator_list", ()):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            construct = construct_of(called, self.imports, self.bound)
            if construct is None and isinstance(called, ast.Name | ast.Attribute):
                construct = self._handed_on(called)
            if construct is not None and construct in DECORATORS:
                return construct, decorator
        return None

    def _handed_on(self, expression: ast.expr) -> str | None:
        """The construct under another name: of a module beside the program, or by an assignment: `sq = SQify`."""
        given = isinstance(expression, ast.Name) and isinstance(self.meanings.get(expression.id), Reference)
        if not given and self._imported_root(expression) is None:
            return None
        found = self._constants.evaluate(expression)
        return found.name if isinstance(found, Reference) and found.kind == "construct" else None

    def _imported_root(self, expression: ast.expr) -> tuple[str, Imported] | None:
        """The imported name with which a dotted name begins."""
        while isinstance(expression, ast.Attribute):
            expression = expression.value
        found = self.meanings.get(expression.id) if isinstance(expression, ast.Name) else None
        return (expression.id, found) if isinstance(expression, ast.Name) and isinstance(found, Imported) else None

    def _read(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._read_function(statement)
            case ast.ClassDef():
                if decorated := self.decorator_of(statement):
                    what = f"`@{decorated[0]}` decorates functions, not classes"
                    self._problems.report(decorated[1], what, "decorate a `def`")
                self._refuse_decorated(statement.body)
                self.meanings[statement.name] = class_meaning(statement, self._constants)
            case ast.Import() | ast.ImportFrom():
                refuse_missing_modules(statement, self._problems)
                self._read_import(statement)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                for target, value in assignments(statement):
                    self._read_assignment(target, value, statement)
            case _ if isinstance(statement, Compound) and not is_main_guard(statement):
                others: dict[str, Imported] = {}
                for inner in statements_in(statement):
                    if not isinstance(inner, ast.Import | ast.ImportFrom):
                        continue
                    self._read_import(inner)
                    for name in bound_names(inner):
                        if isinstance(found := self.meanings.get(name), Imported):
                            both = partial(self._of_either, others.get(name, found), found, name, statement)
                            self.meanings[name] = others[name] = Imported(both)
                self._refuse_decorated(statements_in(statement))
                assigned = bound_names(statement, only_assigned=True)
                for name in bound_names(statement) - self.imports.keys():
                    if name in assigned or not isinstance(self.meanings.get(name), Imported):
                        self.meanings[name] = not_known(name, statement)

    def _refuse_decorated(self, statements: Iterable[ast.stmt]) -> None:
        """Report the decorated functions among statements that do not stand at module level."""
        for function in statements:
            if isinstance(function, Function) and (decorated := self.decorator_of(function)):
                what = f"the @{decorated[0]} function `{function.name}` is defined inside another statement"
                self._problems.report(function, what, "define it at module level")
                self.misplaced = self.misplaced or decorated[0] == "GRAPHify"

    def _read_function(self, node: Function) -> None:
        name, report = node.name, self._problems.report
        instead = f"decorate `def {name}` with @SQify to call it in a graph, or with @STREAMify for a stream"
        for decorator in node.decorator_list:
            written = ast.unparse(decorator).rpartition(".")[2]
            meant = next((each for each in DECORATORS if each.lower() == written.lower() and each != written), None)
            instead = f"write `@{meant}` for `@{written}`" if meant else instead
        self.meanings[name] = Foreign(f"`{name}` is not an SQ", instead)
        self.templates.pop(name, None)
        decorated = self.decorator_of(node)
        if decorated is None:
            return
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            names = {inner.id for inner in ast.walk(default) if isinstance(inner, ast.Name)}
            known = ((each, self.meanings.get(each)) for each in names)
            self.home.earlier[default] = {n: found for n, found in known if isinstance(found, Constant | Listing)}
        kind, decorator = decorated
        for other in node.decorator_list:
            if other is not decorator and construct_of(other, self.imports, self.bound) in DECORATORS:
                report(other, f"`{name}` is decorated with @{kind} already", "keep one of the two")
        if isinstance(decorator, ast.Call):
            report(decorator, f"`@{kind}` takes no arguments", f"write `@{kind}` without parentheses")
        if kind != "GRAPHify":
            own = self._problems.beside()
            template = read_template(node, kind, self.imports, self.bound, own)
            check_names(node, self.tree, self.bound, own)
            self._body_names.warn(node, own)
            template.module, template.file, template.mistakes = self.home.name, own.file, own.found
            self.templates[name] = template
            self.meanings[name] = Reference("function", name, template, home=self.home)
            return
        check_names(node, self.tree, self.bound, self._problems)
        self.meanings[name] = Reference("graph", name, node=node, home=self.home)
        self.graphs.append(node)

    def _read_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        ours = our_names(statement)
        for alias in statement.names:
            whole = isinstance(statement, ast.ImportFrom)
            name = alias.asname or (alias.name if whole else alias.name.split(".")[0])
            if name in ours:
                self.meanings[name] = reference_to(ours[name])
            elif name == "*":
                if is_ticktalk(getattr(statement, "module", None)):  # another module may import them from this one
                    self.meanings.update({known: reference_to(f"ticktalk.{known}") for known in KNOWN})
                else:
                    self.meanings.stars.append(partial(self._of_star, statement))
            elif name not in self.imports:
                self.meanings[name] = Imported(partial(self._of_import, statement, alias))

    def _of_import(self, statement: ast.Import | ast.ImportFrom, alias: ast.alias, libraries: bool) -> Meaning:
        found = self.meanings.resolve(statement, alias, libraries)
        if found is not None:
            return found
        module = getattr(statement, "module", None) or alias.name
        return elsewhere(alias.asname or alias.name, module.partition(".")[0])

    @staticmethod
    def _of_either(one: Imported, other: Imported, name: str, statement: ast.stmt, libraries: bool) -> Meaning:
        """The meaning of a name that one of two imports binds: that of the other, if both do not differ."""
        meanings = [each.resolve(libraries) for each in (one, other)]
        values = [each for each in meanings if isinstance(each, Constant | Listing)]
        return not_known(name, statement) if len(values) == 2 and not _is_same(*values) else meanings[1]

    def _of_star(self, statement: ast.Import | ast.ImportFrom, name: str, libraries: bool) -> Meaning | None:
        return self.meanings.resolve(statement, ast.copy_location(ast.alias(name), statement), libraries)

    def _read_assignment(self, target: ast.expr, value: ast.expr, statement: ast.stmt) -> None:
        self.meanings.update(assigned_meanings(self._constants, target, value, statement, {}))
        root = self._imported_root(value)
        if root is not None and isinstance(target, ast.Name) and isinstance(self.meanings[target.id], Foreign):
            self.meanings[target.id] = Imported(partial(self._of_alias, *root, value))

    def _of_alias(self, name: str, root: Imported, value: ast.expr, libraries: bool) -> Meaning:
        """The meaning of `camera = devices.camera`, where `devices` may be a library."""
        self._constants.scopes = [{name: root.resolve(libraries)}]
        return self._constants.evaluate(value)


def _is_same(one: Meaning, other: Meaning) -> bool:
    """True if two constants are equal."""
    if isinstance(one, Listing) and isinstance(other, Listing):
        pairs = zip(one.items, other.items, strict=False)
        return one.is_tuple == other.is_tuple and len(one.items) == len(other.items) and all(starmap(_is_same, pairs))
    return isinstance(one, Constant) and isinstance(other, Constant) and repr(one.value) == repr(other.value)


def _can_change(found: Meaning) -> bool:
    return isinstance(found, Listing) or (isinstance(found, Constant) and isinstance(found.value, dict | set))


def statements_in(statement: ast.stmt) -> Iterator[ast.stmt]:
    """A statement and the statements inside it, without those of functions and classes."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            continue
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))


WRITTEN_OUT = {
    "datetime": "write a time as `ms(100)` or `s(2)`, or ",
    "numpy": "write a constant as a literal, or ",
}
"""The beginning of a hint, by the module whose constant stands in a graph."""


def elsewhere(name: str, module: str | None = None) -> Foreign:
    """The meaning of a name that is imported from where nothing of TickTalk is: from a module that may not be there."""
    what = f"`{name}` is imported from elsewhere, so it has no meaning in a graph"
    hint = WRITTEN_OUT.get(module or "", "") + "use it in the body of an SQ"
    if module is not None and module not in sys.stdlib_module_names and find_module(module) is None:
        hint = f"there is no module `{module}` beside the program, nor is one installed here: mend its name, or {hint}"
    return Foreign(what, hint)
