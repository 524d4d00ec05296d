"""The code of functions that all instances share: it asks for the names that are meant (`own_names`).

`SEEN.append(x)` in such a function is compiled as an attribute of what it is given. The question is asked once for each
call, where that is enough.
"""

from __future__ import annotations

import ast
import types
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

MEANT = "__names of the running instance__"
"""In a module: what gives the names that are meant. In a namespace of an instance: that instance's names."""

FREE = "of a function around"
"""Stands for the names that a function has from one around it."""

_GIVEN = "__names that are meant__"
_BY_TEXT = frozenset({"globals", "locals", "vars", "dir", "exec", "eval", "setattr", "delattr"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@lru_cache(256)
def asking_code(text: str, file: str, flags: int, own: frozenset[str]) -> types.CodeType:
    """The code of statements whose functions ask for these names; `flags`: of the compiler."""
    tree = ast.fix_missing_locations(_InShared(own).visit(ast.parse(text)))
    code: types.CodeType = compile(tree, file, "exec", flags=flags, dont_inherit=True)
    return code


def names_of(code: types.CodeType) -> set[str]:
    """The names in a piece of code, and in the functions in it; `FREE` if one has a name of a function around it."""
    names = set(code.co_names) | ({FREE} if {*code.co_freevars} - {"__class__"} else set())
    return names.union(*[names_of(part) for part in code.co_consts if isinstance(part, types.CodeType)])


@lru_cache(64)
def own_names_in(sources: tuple[str, ...], assigned: frozenset[str]) -> frozenset[str]:
    """The names that may mean something else to each instance: what they hold may change, or leads to what does."""
    statements: list[ast.stmt] = []
    for source in sources:
        try:
            statements += ast.parse(source).body
        except (SyntaxError, ValueError):
            pass  # it is told where it is compiled
    nodes = [node for statement in statements for node in ast.walk(statement)]
    declared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    own = {"sq_state", "globals"} | assigned
    if _BY_TEXT.isdisjoint(node.id for node in nodes if isinstance(node, ast.Name)):
        own -= _constants(statements, nodes)
    own = {name for name in own | declared if not (name.startswith("__") and name.endswith("__"))}
    own |= _functions_that_keep(nodes, own)
    reads = [
        (node.name, {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)})
        for node in nodes
        if isinstance(node, _Function)
    ]
    more = own
    while more:
        more = {name for name, read in reads if not own.isdisjoint(read)} - own
        own |= more
    return frozenset(own)


def _functions_that_keep(nodes: list[ast.AST], own: set[str]) -> set[str]:
    """The functions whose defaults or attributes may hold what changes."""
    given = {
        node.value.id
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
    }
    functions = [node for node in nodes if isinstance(node, _Function)]
    keep = {each.name for each in functions if each.name in given}
    for each in functions:
        for default in [*each.args.defaults, *filter(None, each.args.kw_defaults)]:
            if not _is_constant(default) and not (isinstance(default, ast.Name) and default.id not in own):
                keep.add(each.name)
    return keep


def _constants(statements: list[ast.stmt], nodes: list[ast.AST]) -> set[str]:
    """The names that are bound once, to a number, a text or a tuple of such."""
    bound = Counter(node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load))
    return {
        target.id
        for node in statements
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _is_constant(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and bound[target.id] == 1
    }


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return all(map(_is_constant, node.elts))
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


class _InShared(ast.NodeTransformer):
    """Makes the module's own names in functions attributes of the names that are meant.

    Code that runs once, at module level and in the classes there, stays as it is.
    """

    def __init__(self, own: frozenset[str]) -> None:
        self._own = own
        self._here: frozenset[str] | None = None  # the names of functions and classes around; None: in no function
        self._around: frozenset[str] = frozenset()  # those that functions in here see
        self._is_given = False  # whether the names that are meant are asked for once for each call
        self._asks = False  # whether any is used
        self._is_method = False
        self._of_others: frozenset[str] = frozenset()  # the names of functions around that are no methods

    def _inside(
        self, names: set[str], nodes: Iterable[ast.AST], function: bool = True, given: bool = False
    ) -> list[Any]:
        """Nodes in a function with these names, or in a comprehension or class."""
        before = self._here, self._around, self._is_given
        around = self._around | names
        self._here = around if function or self._here is not None else None
        self._around, self._is_given = around, given
        made: list[Any] = []
        for node in nodes:
            found = self.visit(node)
            made += found if isinstance(found, list) else [found]
        self._here, self._around, self._is_given = before
        return made

    def visit_FunctionDef(self, node: Any) -> Any:
        defaults = self._own_defaults(node.args)
        node.args, node.decorator_list = self.visit(node.args), [self.visit(each) for each in node.decorator_list]
        node.returns = node.returns and self.visit(node.returns)
        bound, declared = _bound_in(node.body)
        bound |= _parameters(node.args) | {each.name for each in getattr(node, "type_params", ())}
        before = self._around, self._asks
        self._around, self._asks = self._around - declared, False
        given = _BY_TEXT.isdisjoint(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
        of_others, self._of_others = self._of_others, self._of_others_in(bound | declared)
        node.body = self._inside(bound - declared, node.body, given=given)
        self._of_others = of_others
        before_all: list[ast.stmt] = []
        self._is_given, is_given = given, self._is_given
        for name in defaults:
            before_all.append(ast.Assign([ast.Name(name, ast.Store())], self._of_default(name)))
        self._is_given = is_given
        if self._asks:
            ask = ast.Call(ast.Name(MEANT, ast.Load()), [], [])
            before_all.insert(0, ast.Assign([ast.Name(_GIVEN, ast.Store())], ask))
        first = node.body[0]
        place = 1 if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else 0
        node.body[place:place] = [ast.copy_location(each, first) for each in before_all]
        self._around, self._asks = before
        return self._bound_as_well(node, [node.name])

    visit_AsyncFunctionDef = visit_FunctionDef

    def _own_defaults(self, arguments: ast.arguments) -> list[str]:
        """The parameters whose defaults are what the module's own names held when the function was made."""
        if self._here is not None:
            return []
        named = [*arguments.posonlyargs, *arguments.args]
        pairs = [*zip(named[len(named) - len(arguments.defaults) :], arguments.defaults, strict=True)]
        pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
        return [a.arg for a, default in pairs if isinstance(default, ast.Name) and default.id in self._own]

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        defaults = self._own_defaults(node.args)
        node.args = self.visit(node.args)
        bound = _parameters(node.args) | _bound_in([node.body])[0]
        of_others, self._of_others = self._of_others, self._of_others_in(bound)
        (node.body,) = self._inside(bound, [node.body])
        self._of_others = of_others
        if defaults:  # `lambda to=ENTRIES: to` becomes `lambda to=ENTRIES: (to := its own, to)[1]`
            ask = [ast.NamedExpr(ast.Name(name, ast.Store()), self._of_default(name)) for name in defaults]
            both = ast.Tuple([*ask, node.body], ast.Load())
            node.body = ast.copy_location(ast.Subscript(both, ast.Constant(len(ask)), ast.Load()), node.body)
        return node

    def _of_default(self, name: str) -> ast.expr:
        return ast.Call(self._names(), [ast.Name(name, ast.Load())], [])

    def _of_others_in(self, bound: set[str]) -> frozenset[str]:
        """The names that a function has from those around it: a decorator's argument may be the module's table."""
        return frozenset() if self._is_method else self._around - bound

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        for part in (node.bases, node.keywords, node.decorator_list):
            part[:] = [self.visit(each) for each in part]
        bound, declared = _bound_in(node.body)
        here, is_method = self._here, self._is_method
        self._is_method = is_method or here is None
        if here is not None:
            self._here = (here | bound) - declared
        made: list[Any] = []
        for each in node.body:
            found = self.visit(each)
            made += found if isinstance(found, list) else [found]
        node.body, self._here, self._is_method = made, here, is_method
        return self._bound_as_well(node, [node.name])

    def _comprehension(self, node: Any) -> Any:
        first = node.generators[0]
        first.iter = self.visit(first.iter)
        bound = {
            inner.id
            for each in node.generators
            for inner in ast.walk(each.target)
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
        }
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        parts = self._inside(bound, parts, function=False, given=self._is_given)
        if isinstance(node, ast.DictComp):
            node.key, node.value = parts
        else:
            (node.elt,) = parts
        for each in node.generators:
            each.ifs = self._inside(bound, each.ifs, function=False, given=self._is_given)
            if each is not first:
                (each.iter,) = self._inside(bound, [each.iter], function=False, given=self._is_given)
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _is_meant(self, name: str) -> bool:
        return self._here is not None and name in self._own and name not in self._here

    def _names(self) -> ast.expr:
        if self._is_given:
            self._asks = True
            return ast.Name(_GIVEN, ast.Load())
        return ast.Call(ast.Name(MEANT, ast.Load()), [], [])

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._of_others and isinstance(node.ctx, ast.Load):
            return ast.copy_location(self._of_default(node.id), node)
        if not self._is_meant(node.id):
            return node
        return ast.copy_location(ast.Attribute(self._names(), node.id, node.ctx), node)

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        node.patterns = [self.visit(each) for each in node.patterns]
        node.kwd_patterns = [self.visit(each) for each in node.kwd_patterns]
        return node  # no call may stand for the class, which all instances share

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        node.value = self.visit(node.value)
        return self._bind(node.target.id, node.value, node) if self._is_meant(node.target.id) else node

    def visit_Import(self, node: Any) -> Any:
        return self._bound_as_well(node, [each.asname or each.name.partition(".")[0] for each in node.names])

    visit_ImportFrom = visit_Import

    def _bound_as_well(self, node: Any, names: list[str]) -> Any:
        """A statement that binds names otherwise than by assignment, in a function that declares them `global`."""
        more = [self._bind(name, ast.Name(name, ast.Load()), node) for name in names if self._is_meant(name)]
        return [node, *[ast.copy_location(ast.Expr(each), node) for each in more]] if more else node

    def _bind(self, name: str, value: ast.expr, node: Any) -> ast.expr:
        return ast.copy_location(ast.Call(self._names(), [value, ast.Constant(name)], []), node)


def _parameters(arguments: ast.arguments) -> set[str]:
    several = [arguments.vararg, arguments.kwarg]
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {each.arg for each in named + [each for each in several if each is not None]}


def _bound_in(nodes: Iterable[ast.AST]) -> tuple[set[str], set[str]]:
    """The names that a function of these statements binds, its parameters apart, and those it declares `global`."""
    bound: set[str] = set()
    declared: set[str] = set()
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound.add(node.name)
                continue
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                bound |= {inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)}
                continue
            case ast.Name(ctx=ast.Store() | ast.Del()):
                bound.add(node.id)
            case ast.alias():
                bound.add(node.asname or node.name.partition(".")[0])
            case ast.Global():
                declared.update(node.names)
            case ast.Nonlocal():
                bound.update(node.names)
            case ast.ExceptHandler(name=str() as name) | ast.MatchStar(name=str() as name):
                bound.add(name)
            case ast.MatchAs(name=str() as name) | ast.MatchMapping(rest=str() as name):
                bound.add(name)
        waiting.extend(ast.iter_child_nodes(node))
    return bound, declared
