"""What each piece of code of a program does when it runs: `changes.py` tells what that leads to.

The statements of the program, and of the modules beside it that it imports, are read in the order in which they run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from ticktalk.language.bindings import bound_names, is_main_guard
from ticktalk.language.changes import NOTHING, Code, CodeRunner, Lost, Node, Value
from ticktalk.language.known_calls import OF_METHODS
from ticktalk.language.plain_names import plain_names
from ticktalk.language.running_names import KnownCode, ModuleSource, Scope
from ticktalk.language.running_values import Values

Beside = Callable[[str], "tuple[ast.Module, str] | None"]
"""The syntax tree of a module beside the program, and its package; None if there is no such module."""


class RunningCode:
    """The names of a program's modules that may have other values than their statements say.

    Args:
        beside: finds the modules beside the program.
        program: the name under which these may import the program itself.
    """

    def __init__(self, beside: Beside = lambda name: None, program: str = "") -> None:
        self.known = KnownCode(self.find)
        self._at: dict[int, dict[str, Lost]] = {}
        self._beside = beside
        self._program = program
        self._running = CodeRunner(self.known.objects)

    def read(self, module: str, tree: ast.Module, package: str = "") -> None:
        """Read a module; "" is the program itself."""
        if module in self.known.sources:
            return
        names = [name for statement in tree.body for name in bound_names(statement)]
        source = self.known.sources[module] = ModuleSource(tree, package, set(names))
        for inner in ast.walk(tree):
            source.names |= set(inner.names) if isinstance(inner, ast.Global) else set()
        source.once = {name for name in source.names if names.count(name) == 1}
        source.plain = plain_names(tree)
        for statement in tree.body:
            if not is_main_guard(statement):
                self.run(module, statement, Scope("", frozenset()))

    def run(self, module: str, statement: ast.stmt, scope: Scope) -> Code:
        """Note what a statement of a module, or of a class in it, does when it is run."""
        code = Code((module, f"{scope.prefix}@{statement.lineno}"))
        CodeReader(self, module, scope, code).statement(statement)
        changed, rebound = self._running.run(code)
        own: dict[str, Lost] = {}
        for node, lost in (*rebound.items(), *changed.items()):
            if node[0] != module:
                self.known.elsewhere.setdefault(node, lost)
            else:
                own.setdefault(node[1], lost)
        self._at[id(statement)] = own
        return code

    def lost_at(self, statement: ast.stmt) -> dict[str, Lost]:
        """The names of its module that a statement may change, with dots in classes; "" stands for any name."""
        return self._at.get(id(statement), {})

    def find(self, name: str) -> str | None:
        """The module of a dotted name, if it lies beside the program; it is read, too."""
        if name == self._program:
            return ""
        if name not in self.known.sources:
            found = self._beside(name)
            if found is None:
                return None
            self.read(name, *found)
        return name


class CodeReader(Values):
    """Reads one piece of code."""

    def __init__(self, program: RunningCode, module: str, scope: Scope, code: Code) -> None:
        super().__init__(program.known, module, scope, code)
        self._program = program

    # -- statements

    def statements(self, body: Iterable[ast.stmt]) -> None:
        """Read statements, one after the other."""
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Read a statement, with those inside it."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node)
            case ast.ClassDef():
                self._class(node)
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Assign(targets=targets, value=value):
                found = self.value(value)
                for target in targets:
                    self._bind(target, found, value)
                    found = Value(found.nodes | self.value(target).nodes, found.new and len(targets) == 1)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self._bind(target, self.value(value), value)
            case ast.AugAssign(target=target, value=value):
                found = self.value(value)
                if isinstance(value, ast.Constant) and isinstance(value.value, int | float | complex):
                    self._bind(target, NOTHING)  # a list takes no number
                elif isinstance(target, ast.Name):
                    place = ast.copy_location(ast.Name(target.id, ast.Load()), target)
                    self._note(target, self.value(place), deep=False)
                    self._bind(target, Value(found.nodes, True))
                else:
                    self._bind(target, Value(found.nodes, True))
                    self._note(target, self.value(getattr(target, "value", None)), deep=True)
            case ast.Delete(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        deleted = self._node(target.id)
                        if deleted is not None:
                            self._rebind(target, deleted)
                    else:
                        self._bind(target, NOTHING)
            case ast.Return(value=value):
                self._objects.bind(self._code.result, self.value(value))
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                self._bind(target, Value(self.value(value).nodes, part=True))
                self.statements([*node.body, *node.orelse])
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    found = self.value(item.context_expr)
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, Value(found.nodes, part=True))
                self.statements(body)
            case ast.Match(subject=subject, cases=cases):
                found = Value(self.value(subject).nodes, part=True)
                for case in cases:
                    for name in bound_names(ast.Match(ast.Constant(0), [ast.match_case(case.pattern, None, [])])):
                        self._bind_name(node, name, found)
                    self.value(case.guard)
                    self.statements(case.body)
            case _:
                for inner in ast.iter_child_nodes(node):
                    if isinstance(inner, ast.expr):
                        self.value(inner)
                    elif isinstance(inner, ast.ExceptHandler):
                        self.value(inner.type)
                        self.statements(inner.body)
                    elif isinstance(inner, ast.stmt):
                        self.statement(inner)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        program = self._program
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                found = [program.find(".".join(parts[: n + 1])) for n in range(len(parts))]
                name = alias.name if alias.asname else parts[0]
                module = found[-1] if alias.asname else found[0]
                self._bind_import(alias.asname or name, None if module is None else (module, ""), name)
            return
        package = self._source.package.split(".") if self._source.package else []
        outer = package[: len(package) + 1 - node.level] if node.level else []
        base = ".".join([*outer, *([node.module] if node.module else [])])
        parts = base.split(".")
        module = [program.find(".".join(parts[: n + 1])) for n in range(len(parts))][-1] if base else None
        for alias in node.names:
            whole = f"{base}.{alias.name}".lstrip(".")
            if alias.name == "*":
                if module is not None:
                    self._source.stars.append(module)
                    self._source.plain -= self._known.sources[module].names
                    for name in self._source.names & self._known.sources[module].names:
                        self._objects.bind((self._module, name), Value(frozenset({(module, name)})))
            elif module is not None and alias.name in self._known.sources[module].names:
                self._bind_import(alias.asname or alias.name, (module, alias.name), whole)
            elif (inner := program.find(whole) if base == "" or module is not None else None) is not None:
                self._bind_import(alias.asname or alias.name, (inner, ""), whole)
            elif module is not None and (stars := self._known.sources[module].stars):
                self._bind_import(alias.asname or alias.name, (stars[-1], alias.name), whole)
            else:
                self._bind_import(alias.asname or alias.name, None, whole)

    def _bind_import(self, name: str, found: Node | None, whole: str) -> None:
        node = self._node(name)
        if node is None:
            return
        if found is None:
            self._known.of_libraries[node] = whole
            return
        self._objects.bind(node, Value(frozenset({found})))
        if self._scope.prefix or name in self._source.once:
            self._known.same_as[node] = found

    # -- functions and classes

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        value = self.function(node, node.name)
        for decorator in node.decorator_list:
            library = self._library(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if library is None and ast.unparse(decorator).rpartition(".")[2] not in OF_METHODS:
                value = self._call(decorator, self.value(decorator), [value])
        self._bind_name(node, node.name, value)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str) -> Value:
        """The object of a function."""
        arguments = node.args
        prefix = f"{self._scope.prefix}{name}@{node.lineno}:{node.col_offset}."
        statements = [] if isinstance(node, ast.Lambda) else node.body
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        rest = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
        outside = {each for s in statements for g in _inside(s) if isinstance(g, ast.Global) for each in g.names}
        around = {each for s in statements for g in _inside(s) if isinstance(g, ast.Nonlocal) for each in g.names}
        names = {each.arg for each in (*parameters, *rest)}.union(*map(bound_names, statements)) - outside - around
        scope = Scope(prefix, frozenset(names), self._scope, outside=frozenset(outside))
        code = Code((self._module, f"{prefix}return"), prefix=(self._module, prefix))
        code.parameters, code.rest = [each.arg for each in parameters], [each.arg for each in rest]
        decorators = {ast.unparse(each) for each in getattr(node, "decorator_list", ())}
        code.bound = self._scope.is_class and "staticmethod" not in decorators
        found = (self._module, prefix)
        self._objects.functions[found] = code
        defaults = [*zip([*arguments.posonlyargs, *arguments.args][::-1], arguments.defaults[::-1], strict=False)]
        defaults += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
        for parameter, default in defaults:
            self._objects.bind((self._module, f"{prefix}{parameter.arg}"), self.value(default))
        reader = CodeReader(self._program, self._module, scope, code)
        reader.statements(statements)
        if isinstance(node, ast.Lambda):
            self._objects.bind(code.result, reader.value(node.body))
        return Value(frozenset({found}))

    def _class(self, node: ast.ClassDef) -> None:
        found = self._node(node.name) or (self._module, f"{self._scope.prefix}{node.name}")
        bases = Value(frozenset().union(*(self.value(base).nodes for base in node.bases)))
        outside = {each for s in node.body for g in _inside(s) if isinstance(g, ast.Global) for each in g.names}
        names = frozenset(name for s in node.body for name in bound_names(s)) - outside
        scope = Scope(f"{found[1]}.", names, self._scope, True, frozenset(outside))
        self._objects.members[found] = {}
        self._objects.bind(found, Value(bases.nodes, True))
        for name in names:
            self._objects.member(found, name, (self._module, f"{found[1]}.{name}"))
        for statement in node.body:
            inner = self._program.run(self._module, statement, scope)
            self._code.changes += inner.changes
            self._code.rebound += inner.rebound
            self._code.calls += inner.calls
            if any(ast.unparse(each).endswith("property") for each in getattr(statement, "decorator_list", ())):
                self._objects.properties.add((self._module, f"{found[1]}.{getattr(statement, 'name', '')}"))
        itself = Value(frozenset({found}))
        self._call(node, bases, [], method="__init_subclass__", receiver=itself)
        for keyword in node.keywords:
            self._call(node, self.value(keyword.value), [itself])
        for decorator in node.decorator_list:
            if self._library(decorator.func if isinstance(decorator, ast.Call) else decorator) is None:
                self._call(decorator, self.value(decorator), [itself], otherwise=self._change(decorator, itself, True))
        if name := node.name if node.name in self._scope.outside else "":
            self._rebind(node, (self._module, name))


def _inside(statement: ast.stmt) -> Iterable[ast.AST]:
    """A statement and what is in it, without the code of functions and classes in it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
