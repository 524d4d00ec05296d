"""The source of a harmless body, written anew so that each of its runs is metered.

A harmless body uses its arguments, `sq_state`, constants, and what `meter.py` has tables of: some operators, functions
of Python, methods of plain values. Calls of the metered ones take their places. The code is run in a namespace without
builtins. A call that is not known here is not harmless.
"""

from __future__ import annotations

import ast
import builtins
import functools
import re
from collections.abc import Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from ticktalk.bodies.budget import Budget
from ticktalk.bodies.meter import (
    FUNCTIONS,
    HELPERS,
    MAKE_ITERATORS,
    METHODS,
    NUMBERS,
    OPERATORS,
    TAKE_ALL,
    TYPES,
    is_short,
)
from ticktalk.bodies.names import MODULES
from ticktalk.bodies.source import BodySource, NotPlainError, definition_of
from ticktalk.engine.execution import GENERATED
from ticktalk.time import TTEmpty

MOST_NODES = 2_000
"""Nodes of a body's syntax tree, at most: a longer one takes long to compile."""


_NODES = 4
"""Nodes in a loop that cost one unit in each round."""

_WIDTH = 8
"""Characters that cost one unit where an f-string asks for a width or for digits."""


@functools.lru_cache(256)
def free_names(source: str) -> frozenset[str]:
    """The names that a function takes from its module or from Python, `sq_state` apart.

    Raises:
        NotPlainError: it is too long, or no plain function.
    """
    return frozenset(_source(source).free)


def _source(source: str) -> BodySource:
    found = BodySource(definition_of(source))
    if len(found.nodes) > MOST_NODES:
        raise NotPlainError
    return found


class Metered(NamedTuple):
    """A harmless body that can be made.

    Attributes:
        name: of its function.
        code: that of a module that defines it.
        helpers: the names in it that stand for what is metered.
    """

    name: str
    code: CodeType
    helpers: tuple[str, ...]

    def body(self, budget: Budget, constants: Mapping[str, Any]) -> tuple[FunctionType, dict[str, Any]]:
        """Its function without defaults, and the namespace of that."""
        namespace = {"__name__": self.name, **constants, "__builtins__": {}, "TTEmpty": TTEmpty}
        for name in self.helpers:
            make = HELPERS.get(name)
            namespace[name] = NUMBERS[name[1:]] if make is None else make(budget)
        for name in TYPES:
            namespace[f".t {name}"] = getattr(builtins, name)
        namespace[".Exception"] = Exception
        exec(self.code, namespace)
        namespace["sq_state"] = {}
        return namespace[self.name], namespace


@functools.lru_cache(256)
def metered(source: str, means: tuple[tuple[str, str], ...]) -> Metered:
    """The function of a source, written anew.

    Args:
        source: of the function.
        means: its global names, each with the function or module of Python that it holds.

    Raises:
        NotPlainError: it uses something that is not known to be harmless.
    """
    found = _source(source)
    definition = found.definition
    writer = _Writer(dict(means), {*found.bound, *found.parameters} - {"sq_state"})
    try:
        definition.body = writer.block(definition.body)
        definition.decorator_list, definition.returns = [], None
        given = definition.args
        for each in [*given.posonlyargs, *given.args, *given.kwonlyargs]:
            each.annotation = None
        given.defaults, given.kw_defaults = [], [None for _ in given.kwonlyargs]
        module = ast.fix_missing_locations(ast.Module([definition], []))
        code = compile(module, GENERATED, "exec", dont_inherit=True)
    except (RecursionError, SyntaxError, ValueError, MemoryError):
        raise NotPlainError from None
    return Metered(definition.name, code, tuple(sorted(writer.helpers)))


class _Writer:
    """Writes statements and expressions anew; what it does not know is not harmless."""

    def __init__(self, means: Mapping[str, str], bound: set[str]) -> None:
        self._means = means
        self._own = bound
        self.helpers: set[str] = set()
        self._temporaries = 0

    # Statements.

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """A block of statements."""
        return [made for statement in statements for made in self._statement(statement)] or [ast.Pass()]

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        write = getattr(self, f"_write_{node.__class__.__name__}", None)
        if write is None:
            raise NotPlainError
        made: list[ast.stmt] = write(node)
        return made

    def _write_Pass(self, node: ast.stmt) -> list[ast.stmt]:
        return [node]

    _write_Break = _write_Continue = _write_Global = _write_Pass

    def _write_Expr(self, node: ast.Expr) -> list[ast.stmt]:
        return [ast.Pass()] if isinstance(node.value, ast.Constant) else [ast.Expr(self.value(node.value))]

    def _write_Return(self, node: ast.Return) -> list[ast.stmt]:
        return [ast.Return(None if node.value is None else self._result(node.value))]

    def _result(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.IfExp):
            return ast.IfExp(self.value(node.test), self._result(node.body), self._result(node.orelse))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and self._stands_for(node.func) == "TTEmpty":
            if node.args or node.keywords:
                raise NotPlainError
            return ast.Call(ast.Name("TTEmpty", ast.Load()), [], [])
        return self._call("given", self._shallow(node))

    def _shallow(self, node: ast.expr) -> ast.expr:
        """A value that is paid for at once with all that it holds."""
        if isinstance(node, ast.Tuple | ast.List) and not any(isinstance(each, ast.Starred) for each in node.elts):
            return node.__class__([self._shallow(each) for each in node.elts], ast.Load())
        if isinstance(node, ast.Dict) and all(isinstance(each, ast.Constant) for each in node.keys):
            keys = [each and self.value(each) for each in node.keys]
            return ast.Dict(keys, [self._shallow(each) for each in node.values])
        return self.value(node)

    def _write_Raise(self, node: ast.Raise) -> list[ast.stmt]:
        return [ast.Raise(ast.Name(".Exception", ast.Load()))]  # the worker process tells which

    def _write_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        return [ast.Assert(self.value(node.test))]

    def _write_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        return [ast.Assign([self._target(each) for each in node.targets], self.value(node.value))]

    def _write_AnnAssign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        assert isinstance(node.target, ast.Name)
        if node.value is None:
            return [ast.AnnAssign(node.target, ast.Constant(None), None, 1)]
        return [ast.Assign([self._target(node.target)], self.value(node.value))]

    def _write_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        name = f"i{self._operator(node.op)}"
        if isinstance(node.target, ast.Name):
            found = self.value(ast.Name(node.target.id, ast.Load()))
            return [ast.Assign([self._target(node.target)], self._call(name, found, self.value(node.value)))]
        if not isinstance(node.target, ast.Subscript) or isinstance(node.target.slice, ast.Slice):
            raise NotPlainError
        holder, key, old = (self._temporary() for _ in range(3))
        place = [ast.Subscript(_load(holder), _load(key), context) for context in (ast.Load(), ast.Store())]
        changed = self._call(name, _load(old), self.value(node.value))
        return [
            _bind(holder, self.value(node.target.value)),
            _bind(key, self._call("seen", self.value(node.target.slice))),
            _bind(old, place[0]),
            ast.Assign([place[1]], changed),
        ]

    def _write_Delete(self, node: ast.Delete) -> list[ast.stmt]:
        if not all(isinstance(each, ast.Subscript) for each in node.targets):
            raise NotPlainError
        return [ast.Delete([self._deleted(each) for each in node.targets if isinstance(each, ast.Subscript)])]

    def _deleted(self, node: ast.Subscript) -> ast.expr:
        if not isinstance(node.slice, ast.Slice):
            return ast.Subscript(self._call("cut", self.value(node.value)), self._key(node.slice), ast.Del())
        return ast.Subscript(self._call("flat", self.value(node.value)), self._slice(node.slice), ast.Del())

    def _write_If(self, node: ast.If) -> list[ast.stmt]:
        orelse = self.block(node.orelse) if node.orelse else []
        return [ast.If(self.value(node.test), self.block(node.body), orelse)]

    def _write_While(self, node: ast.While) -> list[ast.stmt]:
        orelse = self.block(node.orelse) if node.orelse else []
        return [ast.While(self.value(node.test), [self._step([node.test, *node.body]), *self.block(node.body)], orelse)]

    def _write_For(self, node: ast.For) -> list[ast.stmt]:
        orelse = self.block(node.orelse) if node.orelse else []
        body = [self._step(node.body), *self.block(node.body)]
        return [ast.For(self._target(node.target), self._iterated(node.iter), body, orelse)]

    def _step(self, loop: Sequence[ast.AST]) -> ast.stmt:
        return ast.Expr(self._round(loop))

    def _round(self, loop: Sequence[ast.AST]) -> ast.expr:
        """Pays for a round of a loop: operations on floats do not pay by themselves."""
        nodes = (node for part in loop for node in ast.walk(part))
        size = sum(not isinstance(node, ast.expr_context | ast.operator) for node in nodes)
        return self._call("step", ast.Constant(1 + size // _NODES))

    def _target(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name):
            return node
        if isinstance(node, ast.Tuple | ast.List):
            return node.__class__([self._target(each) for each in node.elts], ast.Store())
        if isinstance(node, ast.Subscript):
            return self._place(node, ast.Store())
        raise NotPlainError

    def _place(self, node: ast.Subscript, context: ast.expr_context) -> ast.expr:
        if isinstance(node.slice, ast.Slice):
            raise NotPlainError
        return ast.Subscript(self.value(node.value), self._key(node.slice), context)

    def _key(self, node: ast.expr) -> ast.expr:
        return self._call("seen", self.value(node))

    # Expressions.

    def value(self, node: ast.expr) -> ast.expr:
        """An expression."""
        find = getattr(self, f"_find_{node.__class__.__name__}", None)
        if find is None:
            raise NotPlainError
        made: ast.expr = find(node)
        return made

    def _values(self, nodes: list[ast.expr]) -> list[ast.expr]:
        return [self._item(node) for node in nodes]

    def _item(self, node: ast.expr) -> ast.expr:
        """An item of a display, or an argument of a call."""
        if isinstance(node, ast.Starred):
            return ast.Starred(self._call("taken", self.value(node.value)), ast.Load())
        return self.value(node) if isinstance(node, ast.Constant) else self._call("seen", self.value(node))

    def _call(self, helper: str, *arguments: ast.expr) -> ast.Call:
        return ast.Call(self._helper(helper), [*arguments], [])

    def _helper(self, name: str) -> ast.Name:
        self.helpers.add(f".{name}")
        return ast.Name(f".{name}", ast.Load())

    def _temporary(self) -> str:
        self._temporaries += 1
        return f".{self._temporaries}"

    def _operator(self, node: ast.operator) -> str:
        if node.__class__ not in OPERATORS:
            raise NotPlainError
        return OPERATORS[node.__class__][0]

    def _find_Constant(self, node: ast.Constant) -> ast.expr:
        if not is_short(node.value):
            raise NotPlainError
        return node

    def _find_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._own and node.id in self._means:
            raise NotPlainError  # a function is no value here
        return node

    def _find_BinOp(self, node: ast.BinOp) -> ast.expr:
        return self._call(self._operator(node.op), self.value(node.left), self.value(node.right))

    def _find_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return ast.UnaryOp(node.op, self.value(node.operand))

    def _find_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        return ast.BoolOp(node.op, [self.value(each) for each in node.values])

    def _find_IfExp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(self.value(node.test), self.value(node.body), self.value(node.orelse))

    def _find_Compare(self, node: ast.Compare) -> ast.expr:
        operands = [node.left, *node.comparators]
        if any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            if len(node.ops) > 1:
                raise NotPlainError
            found: ast.expr = self._call("in", *map(self.value, operands))
            return found if isinstance(node.ops[0], ast.In) else ast.UnaryOp(ast.Not(), found)
        only_is = all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
        first, *others = map(self.value if only_is else self._item, operands)
        return ast.Compare(first, node.ops, others)

    def _find_Tuple(self, node: ast.Tuple) -> ast.expr:
        return ast.Tuple(self._values(node.elts), ast.Load())

    def _find_List(self, node: ast.List) -> ast.expr:
        return ast.List(self._values(node.elts), ast.Load())

    def _find_Set(self, node: ast.Set) -> ast.expr:
        return ast.Set(self._values(node.elts))

    def _find_Dict(self, node: ast.Dict) -> ast.expr:
        keys = [None if key is None else self._item(key) for key in node.keys]
        return ast.Dict(keys, self._values(node.values))

    def _find_Subscript(self, node: ast.Subscript) -> ast.expr:
        found = self.value(node.value)
        if not isinstance(node.slice, ast.Slice):
            key = node.slice if isinstance(node.slice, ast.Constant) else self._call("seen", self.value(node.slice))
            return ast.Subscript(found, self.value(key) if key is node.slice else key, ast.Load())
        return ast.Subscript(self._call("flat", found), self._slice(node.slice), ast.Load())

    def _slice(self, node: ast.Slice) -> ast.Slice:
        return ast.Slice(*[each and self.value(each) for each in (node.lower, node.upper, node.step)])

    def _find_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return ast.JoinedStr([each if isinstance(each, ast.Constant) else self._shown(each) for each in node.values])

    def _shown(self, node: ast.expr) -> ast.expr:
        if not isinstance(node, ast.FormattedValue):
            raise NotPlainError
        form, cost = node.format_spec, 0
        if form is not None:
            parts = form.values if isinstance(form, ast.JoinedStr) else [form]
            texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            if len(texts) != len(parts) or re.search(r"\d{4}|[^\x00-\x7f]", "".join(texts)):
                raise NotPlainError  # it may ask for any width
            cost = sum(map(int, re.findall(r"\d+", "".join(texts)))) // _WIDTH
        shown = self._call("shown", self.value(node.value), ast.Constant(cost))
        return ast.FormattedValue(shown, node.conversion, form)

    def _find_Attribute(self, node: ast.Attribute) -> ast.expr:
        name = self._stands_for(node)
        if name not in NUMBERS:
            raise NotPlainError
        return self._helper(name)

    def _find_Call(self, node: ast.Call) -> ast.expr:
        name = self._stands_for(node.func)
        if name in MAKE_ITERATORS:
            raise NotPlainError  # it would be a value that gives its items once
        if name == "isinstance":
            return self._isinstance(node)
        if name:
            return self._function(name, node)
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in METHODS:
            raise NotPlainError
        target = self.value(node.func.value)
        arguments, named = self._arguments(node)
        return ast.Call(self._helper(f"m {node.func.attr}"), [target, *arguments], named)

    def _function(self, name: str, node: ast.Call) -> ast.expr:
        if name not in FUNCTIONS:
            raise NotPlainError
        if name in TAKE_ALL and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
            arguments, named = self._arguments(node, 1)
            return ast.Call(self._helper(name), [self._iterated(node.args[0], paid=True), *arguments], named)
        arguments, named = self._arguments(node)
        return ast.Call(self._helper(name), arguments, named)

    def _arguments(self, node: ast.Call, after: int = 0) -> tuple[list[ast.expr], list[ast.keyword]]:
        """The arguments; what is called pays for them."""
        if any(each.arg is None for each in node.keywords):
            raise NotPlainError
        given = [self._item(each) if isinstance(each, ast.Starred) else self.value(each) for each in node.args[after:]]
        return given, [ast.keyword(each.arg, self.value(each.value)) for each in node.keywords]

    def _isinstance(self, node: ast.Call) -> ast.expr:
        if len(node.args) != 2 or node.keywords:
            raise NotPlainError
        value, kinds = node.args
        each = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
        names = [self._stands_for(kind) for kind in each]
        if not TYPES.issuperset(names):
            raise NotPlainError
        types: list[ast.expr] = [ast.Name(f".t {name}", ast.Load()) for name in names]
        return ast.Call(self._helper("isinstance"), [self.value(value), ast.Tuple(types, ast.Load())], [])

    def _iterated(self, node: ast.expr, paid: bool = False) -> ast.expr:
        """The iterable of a loop, or of a function that takes all of it; `paid`: that function pays for it."""
        name = self._stands_for(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.GeneratorExp):
            return self._comprehension(ast.GeneratorExp, node)
        if name not in MAKE_ITERATORS:
            return self.value(node) if paid else self._call("seen", self.value(node))
        assert isinstance(node, ast.Call)
        if any(isinstance(each, ast.Starred) for each in node.args):
            raise NotPlainError
        named = [ast.keyword(each.arg, self.value(each.value)) for each in node.keywords]
        if any(each.arg is None for each in named):
            raise NotPlainError
        over = [self._iterated(each, paid=True) for each in node.args]
        return ast.Call(self._helper(name), over, named)

    def _find_ListComp(self, node: ast.ListComp) -> ast.expr:
        return self._comprehension(ast.ListComp, node)

    def _find_SetComp(self, node: ast.SetComp) -> ast.expr:
        return self._comprehension(ast.SetComp, node)

    def _find_DictComp(self, node: ast.DictComp) -> ast.expr:
        return ast.DictComp(self._item(node.key), self._item(node.value), self._generators(node))

    def _comprehension(
        self,
        kind: type[ast.ListComp | ast.SetComp | ast.GeneratorExp],
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp,
    ) -> ast.expr:
        if isinstance(node.elt, ast.Starred):
            raise NotPlainError
        return kind(self._item(node.elt), self._generators(node))

    def _generators(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> list[ast.comprehension]:
        made = []
        for each in node.generators:
            if each.is_async:
                raise NotPlainError
            tests = [self._round([node]), *map(self.value, each.ifs)]
            made.append(ast.comprehension(self._target(each.target), self._iterated(each.iter), tests, 0))
        return made

    def _stands_for(self, node: ast.expr) -> str:
        """The function, number or module of Python that an expression stands for; empty: none."""
        if isinstance(node, ast.Name):
            return "" if node.id in self._own else self._means.get(node.id, "")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = self._stands_for(node.value)
            return f"{module}.{node.attr}" if module in MODULES else ""
        return ""


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _bind(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)
