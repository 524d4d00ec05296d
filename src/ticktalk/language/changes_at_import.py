"""A look at the code that runs at import: may it give a constant another value than its assignment says?

The look goes by names: `B = A` gives the value of `A` to all that is named `B` there, `o.a = A` to each attribute `a`.
From each place of the value it is followed on (`value_flow.py`), through the functions that run at import
(`code_at_import.py`). Nothing is run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ticktalk.language.bindings import bound_names
from ticktalk.language.code_at_import import CodeAtImport, CodeUnit, Key, last_name
from ticktalk.language.function_templates import Function, is_ticktalk
from ticktalk.language.value_flow import ANY_DEPTH, Depths, Step, ValueFlow

_NAMESPACES = frozenset({"globals", "vars", "locals"})
_ATTRIBUTE_NAMESPACES = frozenset({"__dict__", "__globals__", "f_globals"})
_SETTERS = frozenset({"setattr", "delattr", "__setattr__", "__delattr__"})

_BINDING = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Import | ast.ImportFrom


class CodeLine(NamedTuple):
    """A line of code that may change a constant.

    Attributes:
        file: of another module, as messages show it; "" for the program.
        line: from 1 on.
        of: the expression of the class there, if it is the constant of a class.
    """

    file: str
    line: int
    of: str

    def __str__(self) -> str:
        return f"line {self.line} of `{self.file}`" if self.file else f"line {self.line}"


class ModuleConstant(NamedTuple):
    """A constant: its module's file, its name, the depths at which a change counts, and if it stands in a class."""

    file: str
    name: str
    depths: Depths
    in_class: bool = False


class _Use(NamedTuple):
    """The line of a file at which a constant is used; what changes it only below does not count."""

    file: str
    line: float = float("inf")


class ChangesAtImport:
    """Looks through modules, each a tree by its file as messages show it ("" for the program).

    `kind` says at which depths a change counts of the constants of a name, wherever they stand; None for no constant.
    """

    def __init__(self, modules: Mapping[str, ast.Module], kind: Callable[[str], Depths | None]) -> None:
        self._kind = kind
        self._trees = modules
        self._code = CodeAtImport(modules)
        self._flow = ValueFlow(self._code)
        self._known: dict[ModuleConstant, CodeLine | None] = {}
        self._changes: dict[tuple[ModuleConstant, ast.stmt | None], list[ast.AST]] = {}
        self._by_text = list(self._changes_by_text())

    def place(self, constant: ModuleConstant) -> CodeLine | None:
        """Where code may give a constant another value; None if none does."""
        if constant not in self._known:
            self._known[constant] = None  # meanwhile, for constants that are made of each other
            found = self._found(constant, _Use(constant.file), set())
            if found is not None:
                line = getattr(found, "lineno", None) or self._statement_line(found)
                of = self._class_at(found, constant.name) if constant.in_class else ""
                self._known[constant] = CodeLine(self._code.unit_of[found].file, line, of)
        return self._known[constant]

    def _class_at(self, node: ast.AST, name: str) -> str:
        """The expression of the class whose attribute of that name is changed at a node."""
        found = [each.value for each in ast.walk(node) if isinstance(each, ast.Attribute) and each.attr == name]
        if not found:
            return ""
        text = ast.unparse(found[0])
        while not isinstance(node, ast.Module | Function):
            if isinstance(node, ast.ClassDef) and any(text in bound_names(each) for each in node.body):
                text = f"{node.name}.{text}"
            node = self._code.around[node]
        return text

    def _statement_line(self, node: ast.AST) -> int:
        return int(getattr(self._code.statement(node), "lineno", 1))

    def _found(self, constant: ModuleConstant, use: _Use, seen: set[tuple[ModuleConstant, _Use]]) -> ast.AST | None:
        """The node that may change a constant, or one of which its value is made, before it is used."""
        if (constant, use) in seen:
            return None
        seen.add((constant, use))
        for text, node in self._by_text:
            if text in (None, constant.name) and self._is_above(node, use):
                return node
        binding, values = self._binding(constant, use)
        for node in self._rebindings(constant, binding):
            if self._is_above(node, use):
                return node
        if (constant, binding) not in self._changes:
            self._changes[constant, binding] = list(self._changed(constant, binding))
        for node in self._changes[constant, binding]:
            if self._is_above(node, use):
                return node
        for value in values:
            # A number or a text that was made from another constant stays as it is if that one changes below.
            is_made = not constant.depths and constant.file == use.file
            earlier = _Use(use.file, min(use.line, value.lineno)) if is_made else use
            for lead in (each for node in ast.walk(value) for each in self._leads(node, constant.file)):
                found = self._found(lead, earlier, seen)
                if found is not None:
                    return found
        return None

    def _leads(self, node: ast.AST, file: str) -> Iterator[ModuleConstant]:
        """The constants that a name or an attribute in a file may mean."""
        found: set[tuple[str, str]] = set()
        if isinstance(node, ast.Name):
            self._add_sources(file, node.id, found)
        elif isinstance(node, ast.Attribute):
            module = last_name(node.value)
            aliases = self._code.binders.get((self._code.tops[file], module), ())
            for name in {each.name for each in aliases if isinstance(each, ast.alias)} or {module}:
                for other in self._files_of(name.rpartition(".")[2]):
                    self._add_sources(other, node.attr, found)
            depths = self._kind(node.attr)
            if depths is not None:
                yield ModuleConstant(file, node.attr, depths, True)
        for other, name in sorted(found):
            depths = self._kind(name)
            if depths is not None:
                yield ModuleConstant(other, name, depths)

    def _add_sources(self, file: str, name: str, found: set[tuple[str, str]]) -> None:
        """Add a name of a file, and those of others from which it is imported."""
        if (file, name) in found:
            return
        found.add((file, name))
        top = self._code.tops[file]
        for alias in [*self._code.binders.get((top, name), ()), *self._code.binders.get((top, "*"), ())]:
            statement = self._code.around[alias]
            if isinstance(alias, ast.alias) and isinstance(statement, ast.ImportFrom):
                for other in self._files_of(statement.module or ""):
                    self._add_sources(other, name if alias.name == "*" else alias.name, found)

    def _is_above(self, node: ast.AST, use: _Use) -> bool:
        """True if code may run before a constant is used."""
        unit = self._code.unit_of[node]
        if unit.file != use.file or use.line == float("inf"):
            return True
        at = self._statement_line(node) if unit.around is None else self._code.first_lines[unit]
        return at < use.line

    def _binding(self, constant: ModuleConstant, use: _Use) -> tuple[ast.stmt | None, list[ast.expr]]:
        """The statement that binds a constant at last, and the values that bind it, from there on."""
        last: ast.stmt | None = None
        statements = [self._code.statement(node) for node in self._stores(constant)]
        found = [each for each in statements if isinstance(each, _BINDING)]
        if not constant.in_class:
            before = use.line if constant.file == use.file else float("inf")
            found = [each for each in found if isinstance(self._code.around[each], ast.Module) and each.lineno < before]
            plain = [each for each in found if not isinstance(each, ast.AugAssign)]
            last = max(plain, key=lambda each: each.lineno, default=None)
        values = [getattr(each, "value", None) for each in found if last is None or each.lineno >= last.lineno]
        return last, [each for each in values if each is not None]

    def _stores(self, constant: ModuleConstant) -> Iterator[ast.AST]:
        """The nodes that bind a constant: names in its module, or in classes."""
        for top in self._tops(constant):
            for binder in self._code.binders.get((top, constant.name), ()):
                if self._code.in_class(binder) == constant.in_class or constant.name in top.declared:
                    yield binder

    def _rebindings(self, constant: ModuleConstant, binding: ast.stmt | None) -> Iterator[ast.AST]:
        """The nodes that bind a constant otherwise than an assignment at its level does."""
        for node in self._stores(constant):
            statement = self._code.statement(node)
            unit = self._code.unit_of[node]
            line = self._statement_line(statement)
            above = unit.around is None and binding is not None and line < binding.lineno
            if above or isinstance(node, ast.alias | Function | ast.ClassDef):
                continue
            is_deleted = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del)
            elsewhere = unit.around is not None or constant.name in unit.declared
            if is_deleted or elsewhere or isinstance(self._code.around[node], ast.NamedExpr):
                yield node
        for attribute in self._code.attributes.get(constant.name, ()):
            if not isinstance(attribute.ctx, ast.Load) and self._may_be(attribute, constant):
                yield attribute
        yield from self._stars(constant, binding)

    def _stars(self, constant: ModuleConstant, binding: ast.stmt | None) -> Iterator[ast.AST]:
        """The star imports of modules beside the program that bind a constant anew."""
        if constant.in_class or binding is None:
            return
        for alias in self._code.imports.get("*", ()):
            statement = self._code.around[alias]
            if self._code.unit_of[alias].file != constant.file or not isinstance(statement, ast.ImportFrom):
                continue
            names = self._names_of(statement.module or "")
            if not is_ticktalk(statement.module) and statement.lineno > binding.lineno and constant.name in names:
                yield alias

    def _names_of(self, module: str) -> set[str]:
        """The names that a module beside the program binds."""
        trees = [self._trees[file] for file in self._files_of(module)]
        return {name for tree in trees for each in tree.body for name in bound_names(each)}

    def _files_of(self, module: str) -> list[str]:
        """The files that a dotted name of a module beside the program may mean."""
        path = f"/{module.replace('.', '/')}" if module else ""
        ends = (f"{path}.py", f"{path}/__init__.py")
        return [file for file in self._trees if file and f"/{file}".endswith(ends)]

    def _may_be(self, attribute: ast.Attribute, constant: ModuleConstant) -> bool:
        """True if an attribute of a constant's name may be that constant."""
        if constant.in_class:
            return not (self._code.is_instance(attribute.value) and not isinstance(attribute.ctx, ast.Load))
        base = attribute.value
        binders = self._code.binders.get(self._code.key(base, base.id), []) if isinstance(base, ast.Name) else []
        in_class = any(isinstance(each, ast.ClassDef) for each in binders)
        return not (in_class or self._code.is_instance(base) or (isinstance(base, ast.Name) and base.id == "cls"))

    def _changed(self, constant: ModuleConstant, binding: ast.stmt | None) -> Iterator[ast.AST]:
        """The nodes that change the value of a constant in place."""
        if not constant.depths:
            return
        waiting: list[Step] = []
        if constant.in_class:
            waiting += [((None, constant.name), constant.depths)]
            waiting += [(each, constant.depths) for each in self._loads(constant) if self._code.in_class(each)]
        else:
            for node in self._loads(constant):
                line = self._statement_line(node)
                if binding is None or self._code.unit_of[node].around is not None or line > binding.lineno:
                    waiting.append((node, constant.depths))
            for attribute in self._code.attributes.get(constant.name, ()):
                if self._may_be(attribute, constant):
                    waiting.append((attribute, constant.depths))
            waiting += [(key, constant.depths) for key in self._imported(constant)]
            waiting += self._other_targets(constant, binding)
        yield from self._follow(waiting)

    def _loads(self, constant: ModuleConstant) -> Iterator[ast.Name]:
        for top in self._tops(constant):
            nodes = self._code.names.get((top, constant.name), ())
            yield from (each for each in nodes if isinstance(each.ctx, ast.Load))

    def _tops(self, constant: ModuleConstant) -> list[CodeUnit]:
        """The module of a constant; all for one of a class."""
        return [top for file, top in self._code.tops.items() if constant.in_class or file == constant.file]

    def _imported(self, constant: ModuleConstant) -> Iterator[Key]:
        """The variables of other modules that import a constant."""
        for alias in self._code.imports.get(constant.name, ()):
            if isinstance(self._code.around[alias], ast.ImportFrom):
                name = alias.asname or alias.name
                if (self._code.unit_of[alias].file, name) != (constant.file, constant.name):
                    yield self._code.key(alias, name)
        for star in self._code.imports.get("*", ()):
            if self._code.unit_of[star].file != constant.file:
                yield self._code.key(star, constant.name)

    def _other_targets(self, constant: ModuleConstant, binding: ast.stmt | None) -> Iterator[Step]:
        """The other names that an assignment gives to the value: `A = B = []`."""
        if isinstance(binding, ast.Assign) and len(binding.targets) > 1:
            for target in binding.targets:
                if isinstance(target, ast.Name) and target.id != constant.name:
                    yield self._code.key(target, target.id), constant.depths

    def _follow(self, waiting: list[Step]) -> Iterator[ast.AST]:
        """Follow a value from some places; the nodes that change it."""
        seen: set[Step] = set()
        while waiting:
            step = waiting.pop()
            place, depths = step
            if step in seen or not depths:
                continue
            seen.add(step)
            if isinstance(place, tuple):
                for node in self._of_variable(place):
                    if isinstance(getattr(node, "ctx", None), ast.Load):
                        waiting.append((node, depths))
                    elif 0 in depths and self._flow.is_extended(node):
                        yield node
                continue
            steps = self._flow.steps(place, depths)
            if steps is not None:
                waiting += steps
            else:
                yield place

    def _of_variable(self, key: Key) -> Iterator[ast.AST]:
        """All places of a variable."""
        unit, name = key
        if unit is None:
            yield from self._code.attributes.get(name, ())
            return
        yield from self._code.names.get(key, ())
        if unit.around is None:
            of_module = ModuleConstant(unit.file, name, ANY_DEPTH)
            yield from (each for each in self._code.attributes.get(name, ()) if self._may_be(each, of_module))
            for other in self._imported(of_module):
                yield from self._code.names.get(other, ())

    def _changes_by_text(self) -> Iterator[tuple[str | None, ast.AST]]:
        """The changes of names that are texts: the name, None for any, and the node."""
        calls, is_instance = self._code.calls, self._code.is_instance
        spaces: list[tuple[ast.AST, list[ast.expr]]] = []
        spaces += [(call, call.args[:1]) for name in _NAMESPACES for call in calls.get(name, ())]
        spaces += [
            (each, [each.value]) for name in _ATTRIBUTE_NAMESPACES for each in self._code.attributes.get(name, ())
        ]
        for node, of in spaces:
            changes = () if any(map(is_instance, of)) else self._follow([(node, ANY_DEPTH)])
            for changed in changes:
                yield _text([getattr(self._code.around[changed], "slice", None)]), changed
        for call in (each for name in _SETTERS for each in calls.get(name, ())):
            if not any(map(is_instance, call.args[:1])) and not _is_of_super(call.func):
                yield _text(call.args[:2]), call
        for call in (each for name in ("exec", "eval") for each in calls.get(name, ())):
            match call:
                case ast.Call(func=ast.Name(), args=[ast.Constant(value=str() as code), *_]):
                    yield from ((each, call) for each in re.findall(r"\w+", code))
                case ast.Call(func=ast.Name(id="exec"), args=[_, *_]):
                    yield None, call


def _text(nodes: Sequence[ast.AST | None]) -> str | None:
    """The first text among some nodes."""
    return next((str(each.value) for each in nodes if isinstance(each, ast.Constant)), None)


def _is_of_super(func: ast.expr) -> bool:
    return isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call) and last_name(func.value) == "super"
