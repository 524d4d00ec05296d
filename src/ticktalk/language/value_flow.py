"""Where a value goes from a place in the code that runs at import, and whether it is changed there.

An unknown function of a library is taken to read what it is given, but where its result is thrown away. Each value is
followed with the depths at which a change counts: 0 is the value itself, 1 an item of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from ticktalk.language.code_at_import import CodeAtImport, Key, last_name, parameters_of
from ticktalk.language.function_templates import Function

CHANGING = frozenset({
    "append", "extend", "insert", "remove", "pop", "popitem", "clear", "sort", "reverse", "add", "discard", "update",
    "popleft", "appendleft", "setdefault", "difference_update", "intersection_update", "symmetric_difference_update",
    "__setitem__", "__delitem__", "__iadd__", "__ior__", "__imul__", "__iand__", "__isub__", "__ixor__", "__init__",
})  # fmt: skip
"""Methods that change a list, a table or a set."""
_GIVING_ITEM = frozenset({"get", "__getitem__", "pop", "popitem", "popleft", "setdefault"})
_SHARING_ITEMS = frozenset({
    "copy", "items", "values", "union", "difference", "intersection", "symmetric_difference", "__add__", "__or__",
})  # fmt: skip
_TAKING = frozenset({
    "append", "insert", "add", "setdefault", "__setitem__", "appendleft", "put", "put_nowait", "update", "extend",
})  # fmt: skip
"""Methods that keep what they are given; the last two, the items of it."""
_TAKING_ITEMS = frozenset({"update", "extend"})

_READING = frozenset({
    "len", "any", "all", "str", "repr", "format", "print", "isinstance", "type", "id", "bool", "hash", "abs", "sum",
    "range", "hasattr", "callable", "open", "dir", "issubclass",
})  # fmt: skip
"""Builtin functions that give nothing back that shares something with what they are given."""
_GIVING_ARGUMENT = frozenset({
    "cast", "choice", "nullcontext", "MappingProxyType", "proxy", "ChainMap", "assert_type", "setdefault", "get",
})  # fmt: skip
"""Functions whose result is what they are given, or as good as that."""
_HOLDING = frozenset({"partial", "repeat", "Thread", "Timer"})
_TABLES = frozenset({"dict", "OrderedDict", "defaultdict", "UserDict"})
"""Classes whose keywords are entries."""
_ITERATING = frozenset({
    "list", "tuple", "set", "frozenset", "sorted", "iter", "reversed", "map", "filter",
    "chain", "cycle", "deque",
    "copy", "sample", "islice", "from_iterable", "fromkeys", "namedtuple",
})  # fmt: skip
"""Functions whose result has the items of what they are given."""
_PAIRING = frozenset({"enumerate", "zip", "product", "zip_longest", "combinations", "permutations"})
"""Functions whose result has lists of such items."""
_CHANGING_FUNCTIONS = frozenset({
    "shuffle", "heappush", "heappop", "heapify", "heapreplace", "heappushpop", "insort", "insort_left", "insort_right",
    "setitem", "delitem", "iadd", "ior", "iconcat", "iand", "isub", "imul", "ixor",
})  # fmt: skip
"""Functions of libraries that change what they are given."""
_READING_FUNCTIONS = frozenset({
    "add_argument", "critical", "debug", "dump", "error", "exception", "info", "log", "pprint", "pp", "warn", "warning",
    "write", "writelines", "setLevel", "seed", "Pool", "basicConfig", "set_defaults",
})  # fmt: skip
"""Functions of libraries that only read it, and are called for something else."""
_OPERATORS = ("add", "mul", "or", "and", "sub", "xor", "mod", "truediv", "matmul", "lshift", "rshift", "floordiv")


Depths = frozenset[int]
"""The depths in a value at which a change counts. The deepest stands for all below it."""
_DEEPEST = 4
ANY_DEPTH = frozenset(range(_DEEPEST + 1))


def _of_copy(depths: Depths) -> Depths:
    """Of what has the same items."""
    return depths - {0}


def _of_item(depths: Depths) -> Depths:
    """Of an item."""
    return frozenset(each - 1 for each in depths if each) | (depths & {_DEEPEST})


def of_holder(depths: Depths) -> Depths:
    """Of what has the value as an item."""
    return frozenset(min(each + 1, _DEEPEST) for each in depths)


Step = tuple[ast.AST | Key, Depths]
"""A place, or a variable, that has the value, too."""


class ValueFlow:
    """Tells where a value goes from one node of some code."""

    def __init__(self, code: CodeAtImport) -> None:
        self._code = code

    def steps(self, node: ast.AST, depths: Depths) -> Iterator[Step] | None:
        """The next places of a value; None if it is changed here."""
        found: list[Step] = []
        return iter(found) if self._step(node, depths, found) else None

    def _step(self, node: ast.AST, depths: Depths, found: list[Step]) -> bool:
        """Add the next places; False if the value is changed."""
        around = self._code.around[node]
        shared, held = _of_copy(depths), of_holder(depths)
        match around:
            case ast.Subscript(value=value) if value is node:
                if not isinstance(around.ctx, ast.Load):
                    return not (0 in depths or (0 in _of_item(depths) and self.is_extended(around)))
                if isinstance(around.slice, ast.Slice):
                    found.append((around, shared))
                else:
                    found.append((around, _of_item(depths)))
            case ast.Attribute():
                return self._attribute(around, depths, found)
            case ast.Call() if around.func is not node:
                return self._argument(around, node, depths, found)
            case ast.keyword():
                return self._argument(self._code.around[around], around, depths, found)
            case ast.Starred():
                beside = self._code.around[around]
                if isinstance(beside, ast.Call):
                    return self._argument(beside, around, _of_item(depths), found)
                found.append((beside, shared))
            case ast.List() | ast.Tuple() | ast.Set():
                targets = self._beside(around, node)
                for target in targets:
                    self._bind(target, depths, found)
                if not targets:
                    found.append((around, held))
            case ast.Dict() if node in around.values:
                found.append((around, shared if around.keys[around.values.index(node)] is None else held))
            case ast.IfExp() if around.test is not node:
                found.append((around, depths))
            case ast.BoolOp() | ast.Await():
                found.append((around, depths))
            case ast.NamedExpr():
                found.append((around, depths))
                self._bind(around.target, depths, found)
            case ast.BinOp():
                found.append((around, shared))
                self._operators(depths, found)
            case ast.AugAssign() if around.value is node:
                self._hold(around.target, shared, found)
                self._operators(depths, found)
            case ast.comprehension() | ast.For() | ast.AsyncFor() if around.iter is node:
                self._bind(around.target, _of_item(depths), found)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                found.append((around, held))
            case ast.DictComp() if around.value is node:
                found.append((around, held))
            case ast.Assign():
                for target in around.targets:
                    self._bind(target, depths, found)
            case ast.AnnAssign() if around.value is node:
                self._bind(around.target, depths, found)
            case ast.Return() | ast.YieldFrom():
                self._returned(around, depths, found)
            case ast.Yield():
                self._returned(around, held, found)
            case ast.Lambda() if around.body is node:
                self._result(around, depths, found)
            case ast.arguments():
                self._default(around, node, depths, found)
            case ast.withitem() if around.optional_vars is not None:
                self._bind(around.optional_vars, depths | _of_item(depths), found)
            case ast.Match():
                within = depths | _of_item(depths) | _of_item(_of_item(depths))
                for inner in ast.walk(around):
                    if isinstance(inner, ast.MatchAs | ast.MatchStar) and inner.name is not None:
                        found.append((self._code.key(around, inner.name), within))
        return True

    def _operators(self, depths: Depths, found: list[Step]) -> None:
        """The value is an operand, which goes to the program's own operators."""
        for name in (f"__{side}{each}__" for each in _OPERATORS for side in ("", "r", "i")):
            for method in self._code.definitions.get(name, ()):
                self._parameters(method, depths, found)

    def is_extended(self, node: ast.AST) -> bool:
        """True if `+=` and the like may change what is there in place."""
        around = self._code.around[node]
        if not isinstance(around, ast.AugAssign):
            return False
        return not (isinstance(around.value, ast.Constant) and isinstance(around.value.value, int | float))

    def _beside(self, display: ast.List | ast.Tuple | ast.Set, node: ast.AST) -> list[ast.expr]:
        """The targets that are assigned an element of a display: of `a, b = A, B`."""
        around = self._code.around[display]
        if not isinstance(around, ast.Assign) or isinstance(display, ast.Set):
            return []
        found: list[ast.expr] = []
        for target in around.targets:
            elements = target.elts if isinstance(target, ast.Tuple | ast.List) else []
            if len(elements) != len(display.elts) or any(isinstance(each, ast.Starred) for each in elements):
                return []
            found += [each for each, given in zip(elements, display.elts, strict=True) if given is node]
        return found

    def _attribute(self, node: ast.Attribute, depths: Depths, found: list[Step]) -> bool:
        """An attribute of the value: `A.append(1)`."""
        call = self._code.around[node]
        called = isinstance(call, ast.Call) and call.func is node
        if not isinstance(node.ctx, ast.Load):
            return True
        if node.attr in CHANGING and 0 in depths:
            return False
        if not called:
            found.append((node, _of_item(depths)))
        elif node.attr in _GIVING_ITEM:
            found.append((call, _of_item(depths)))
        elif node.attr in _SHARING_ITEMS:
            shared = _of_copy(depths)
            found.append((call, of_holder(shared) if node.attr == "items" else shared))
        return True

    def _argument(self, call: ast.AST, node: ast.AST, depths: Depths, found: list[Step]) -> bool:
        """The value is given to a call, as an argument, a keyword or `*` of one."""
        if not isinstance(call, ast.Call):
            return True  # `class C(metaclass=A)`
        for other in [*call.args, *[each.value for each in call.keywords]]:
            given = self._called(other, call) if isinstance(other, ast.Lambda | ast.Name | ast.Attribute) else []
            for function in given or ():
                if not isinstance(function, ast.ClassDef):
                    self._parameters(function, depths | _of_item(depths), found)
        called = self._called(call.func, call)
        if called is None:
            return 0 not in depths
        for function in called:
            self._given(function, call, node, depths, found)
        return bool(called) or self._library(call, node, depths, found)

    def _library(self, call: ast.Call, node: ast.AST, depths: Depths, found: list[Step]) -> bool:
        """The value is given to a function, or a method, which is not the program's."""
        name, func = last_name(call), call.func
        if isinstance(func, ast.Name):
            binders = self._code.binders.get(self._code.key(func, name), ())
            name = next((each.name.rpartition(".")[2] for each in binders if isinstance(each, ast.alias)), name)
        if isinstance(node, ast.keyword) and node.arg is not None:
            found.append(((None, node.arg), depths))  # as `SimpleNamespace(names=A)` has it
        if isinstance(func, ast.Attribute) and name in _TAKING:
            if isinstance(func.value, ast.Name) and func.value.id in ("list", "dict", "set") and node in call.args[:1]:
                return 0 not in depths
            whole = name not in _TAKING_ITEMS or isinstance(node, ast.keyword)
            self._hold(func.value, of_holder(depths) if whole else _of_copy(depths), found)
            if name == "setdefault":
                found.append((call, depths))
        elif name in _CHANGING_FUNCTIONS | CHANGING:
            return 0 not in depths
        elif name == "setattr" and len(call.args) == 3 and isinstance(text := call.args[1], ast.Constant):
            found.append(((None, str(text.value)), depths))
        elif name in ("min", "max", "next", "reduce"):
            one = name == "reduce" or len(call.args) == 1
            found.append((call, _of_item(depths) if one else depths))
        elif name in _GIVING_ARGUMENT:
            found.append((call, depths | _of_item(depths)))
        elif name in _HOLDING or (name in _TABLES and isinstance(node, ast.keyword) and node.arg is not None):
            found.append((call, of_holder(depths)))
        elif name in _TABLES:  # of a table, or of pairs
            found.append((call, _of_copy(depths) | of_holder(_of_item(_of_item(depths)))))
        elif name in _PAIRING:
            found.append((call, of_holder(_of_copy(depths))))
        elif name in _ITERATING:
            found.append((call, _of_copy(depths)))
        elif name == "getattr":
            return 0 not in depths
        elif name not in _READING | _READING_FUNCTIONS and isinstance(self._code.around[call], ast.Expr):
            return not depths
        return True

    def _called(self, func: ast.expr, at: ast.AST, depth: int = 8) -> list[ast.AST] | None:
        """The functions and classes of the program that an expression means; None if any may be meant."""
        if isinstance(func, ast.Lambda):
            return [func]
        definitions = self._code.definitions
        if isinstance(func, ast.Attribute):
            return definitions.get(func.attr, [])
        if not isinstance(func, ast.Name):
            return []
        binders = self._code.binders.get(self._code.key(at, func.id))
        if not binders:
            return definitions.get(func.id, [])
        found: list[ast.AST] = []
        for binder in binders:
            around = self._code.around[binder]
            if isinstance(binder, ast.alias):
                found += definitions.get(binder.name.rpartition(".")[2], [])
            elif isinstance(binder, ast.ClassDef | Function):
                found.append(binder)
            elif isinstance(around, ast.Assign | ast.AnnAssign) and around.value is not None and depth:
                meant = self._called(around.value, around, depth - 1)
                if meant is None:
                    return None
                found += meant
            else:
                return None
        return found

    def _given(self, function: ast.AST, call: ast.Call, node: ast.AST, depths: Depths, found: list[Step]) -> None:
        """The value is given to a function or a class of the program."""
        if isinstance(function, ast.ClassDef):
            methods = [each for one in self._with_bases(function) for each in one.body if isinstance(each, Function)]
            makers = [each for each in methods if each.name in ("__init__", "__new__", "__post_init__", "__call__")]
            for maker in makers:
                self._given(maker, call, node, depths, found)
            if not any(each.name in ("__init__", "__new__") for each in makers):
                bodies = (each for one in self._with_bases(function) for each in one.body)
                fields = (each.target for each in bodies if isinstance(each, ast.AnnAssign))
                found.extend(((None, each.id), depths) for each in fields if isinstance(each, ast.Name))
            names = {each.name for each in function.body if isinstance(each, Function)}
            if function.bases or not names.isdisjoint(("__iter__", "__getitem__", "__next__")):
                found.append((call, of_holder(depths)))
            return
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        named = {last_name(each) for each in getattr(function, "decorator_list", [])}
        if isinstance(self._code.around[function], ast.ClassDef) and "staticmethod" not in named:
            positional = positional[1:]
        body = self._code.bodies.get(function)
        before = call.args[: call.args.index(node)] if node in call.args else []
        if body is None:
            return
        if isinstance(node, ast.keyword) and node.arg is not None:
            known = {each.arg for each in [*positional, *arguments.kwonlyargs]}
            if node.arg in known:
                found.append(((body, node.arg), depths))
            elif arguments.kwarg is not None:
                found.append(((body, arguments.kwarg.arg), of_holder(depths)))
        elif any(isinstance(each, ast.Starred) for each in [*before, node]) or isinstance(node, ast.keyword):
            self._parameters(function, depths, found)
        elif len(before) < len(positional):
            found.append(((body, positional[len(before)].arg), depths))
        elif arguments.vararg is not None:
            found.append(((body, arguments.vararg.arg), of_holder(depths)))

    def _with_bases(self, of: ast.ClassDef) -> list[ast.ClassDef]:
        """A class, and the classes of the program from which it is derived."""
        found = [of]
        for each in found:
            bases = [meant for base in each.bases for meant in self._called(base, each) or ()]
            found += [base for base in bases if isinstance(base, ast.ClassDef) and base not in found]
        return found

    def _parameters(self, function: ast.AST, depths: Depths, found: list[Step]) -> None:
        """Any parameter of a function may be the value."""
        body = self._code.bodies.get(function)
        arguments = getattr(function, "args", None)
        if body is None or arguments is None:
            return
        found.extend(((body, each.arg), depths) for each in parameters_of(arguments))
        stars = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
        found.extend(((body, each.arg), of_holder(depths)) for each in stars)

    def _default(self, arguments: ast.arguments, node: ast.AST, depths: Depths, found: list[Step]) -> None:
        body = self._code.bodies.get(self._code.around[arguments])
        if body is None:
            return
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs: Iterable[tuple[ast.arg, ast.expr | None]] = [
            *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        found.extend(((body, parameter.arg), depths) for parameter, default in pairs if default is node)

    def _returned(self, node: ast.AST, depths: Depths, found: list[Step]) -> None:
        while not isinstance(node, Function | ast.Lambda | ast.Module):
            node = self._code.around[node]
        self._result(node, depths, found)

    def _result(self, function: ast.AST, depths: Depths, found: list[Step]) -> None:
        """The value is the result of a function: it goes where that is called."""
        name = getattr(function, "name", "")
        around = self._code.around[function]
        call = self._code.around[around] if isinstance(around, ast.keyword) else around
        if isinstance(function, ast.Lambda) and isinstance(call, ast.Call):
            found.append((call, depths | of_holder(depths)))
        if isinstance(function, ast.Lambda) and isinstance(around, ast.Assign):
            name = next((target.id for target in around.targets if isinstance(target, ast.Name)), "")
        found.extend((call, depths) for call in self._code.calls.get(name, ()))
        if any(last_name(each) in ("property", "cached_property") for each in getattr(function, "decorator_list", ())):
            found.extend((each, depths) for each in self._code.attributes.get(name, ()))

    def _bind(self, target: ast.expr, depths: Depths, found: list[Step]) -> None:
        """A target is given the value."""
        match target:
            case ast.Name(id=name):
                found.append((self._code.key(target, name), depths))
                if self._code.in_class(target):
                    found.append(((None, name), depths))
            case ast.Starred(value=value):
                self._bind(value, _of_copy(depths), found)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for each in elements:
                    below = depths if isinstance(each, ast.Starred) else _of_item(depths)
                    self._bind(each, below, found)
            case ast.Attribute(attr=name):
                found.append(((None, name), depths))
            case ast.Subscript(value=value):
                self._hold(value, of_holder(depths), found)
                for method in self._code.definitions.get("__setitem__", ()):
                    self._parameters(method, depths, found)

    def _hold(self, container: ast.expr, depths: Depths, found: list[Step]) -> None:
        """Something in what an expression means is the value."""
        while isinstance(container, ast.Subscript | ast.Call):
            is_item = isinstance(container, ast.Subscript) or last_name(container) in _GIVING_ITEM
            depths = of_holder(depths) if is_item else depths
            container = container.value if isinstance(container, ast.Subscript) else container.func
            if isinstance(container, ast.Attribute) and container.attr in _GIVING_ITEM | _SHARING_ITEMS:
                container = container.value
        if isinstance(container, ast.Name):
            found.append((self._code.key(container, container.id), depths))
        elif isinstance(container, ast.Attribute):
            found.append(((None, container.attr), depths))
