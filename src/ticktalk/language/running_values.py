"""What happens when expressions are computed, as `running_code.py` reads them: what they lead to, what they change."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence

from ticktalk.language.changes import NOTHING, Call, Code, InPlaceChange, Node, Value
from ticktalk.language.function_templates import PACKAGES
from ticktalk.language.known_calls import (
    CHANGE_NO_ARGUMENT,
    CHANGE_NOTHING,
    CHANGES,
    CHANGES_OF_LIBRARIES,
    COPIES,
    GIVES_OF_LIBRARIES,
    GIVES_WHAT_IT_GETS,
    READS,
)
from ticktalk.language.names_of_module import names_in_texts
from ticktalk.language.running_names import KnownCode, RunningNames, Scope


class Values(RunningNames):
    """Reads the expressions of one piece of code, and notes there what happens."""

    def __init__(self, known: KnownCode, module: str, scope: Scope, code: Code) -> None:
        super().__init__(known, module, scope)
        self._code = code

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str) -> Value:
        """The object of a function."""
        raise NotImplementedError

    def _change(self, place: ast.AST, value: Value, deep: bool) -> InPlaceChange:
        return InPlaceChange(value.nodes, deep, self._module, getattr(place, "lineno", 0))

    def _note(self, place: ast.AST, value: Value, deep: bool) -> None:
        if value.nodes:
            self._code.changes.append(self._change(place, value, deep))

    def _rebind(self, place: ast.AST, node: Node) -> None:
        self._code.rebound.append(InPlaceChange(frozenset({node}), False, self._module, getattr(place, "lineno", 0)))

    def _is_direct(self, node: ast.expr) -> bool:
        """True if a change of what an expression means changes nothing that this holds."""
        return isinstance(node, ast.Name) or self._fixed(node) is not None

    def _bind(self, target: ast.expr, value: Value, given: ast.expr | None = None) -> None:
        match target:
            case ast.Name(id=name):
                self._bind_name(target, name, value)
            case ast.Starred(value=inner):
                self._bind(inner, value)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                values: list[ast.expr] = getattr(given, "elts", [])
                if len(values) == len(elements) and not any(isinstance(e, ast.Starred) for e in (*values, *elements)):
                    for element, each in zip(elements, values, strict=True):
                        self._bind(element, self.value(each), each)
                else:
                    for element in elements:
                        self._bind(element, Value(value.nodes, part=True))
            case ast.Attribute(value=base) | ast.Subscript(value=base):
                held = self.value(base)
                fixed = self._fixed(base)
                if isinstance(target, ast.Attribute) and fixed is not None and fixed[1] == "":
                    self._rebind(target, (fixed[0], target.attr))
                else:
                    self._change_namespace(target, base, target)
                    self._note(target, self._without_modules(held, target), deep=not self._is_direct(base))
                if isinstance(target, ast.Subscript):
                    self.value(target.slice)
                for node in held.nodes:
                    self._objects.bind(node, Value(value.nodes, True))

    def _bind_name(self, place: ast.AST, name: str, value: Value) -> None:
        node = self._node(name)
        if node is not None:
            self._objects.bind(node, value)
            if name in self._scope.outside:
                self._rebind(place, node)

    def _without_modules(self, value: Value, place: ast.AST) -> Value:
        """A value without the modules that are its own `globals()`, whose changes are told by name."""
        return Value(frozenset(node for node in value.nodes if node[1] or not isinstance(place, ast.Subscript)))

    def _change_namespace(self, place: ast.AST, base: ast.expr, texts: ast.AST) -> None:
        """Note a change of the names of a module: those that stand there as text, or any of them."""
        for node in self.value(base).nodes:
            if node[1] == "":
                keys = [texts.slice] if isinstance(texts, ast.Subscript) else getattr(texts, "args", [])[:1]
                named = [each.arg for each in getattr(texts, "keywords", [])]
                told = all(isinstance(key, ast.Constant) for key in keys) and None not in named
                for name in names_in_texts(texts) if told else {""}:
                    self._rebind(place, (node[0], name))

    # -- expressions

    def value(self, node: ast.AST | None) -> Value:
        """What an expression leads to; what happens when it is computed is noted."""
        match node:
            case ast.Name(id=name):
                found = self._node(name)
                return NOTHING if found is None or self._is_plain(node) else Value(frozenset({found}))
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(value=base, slice=inner):
                self.value(inner)
                if ast.unparse(base).rpartition(".")[2] == "modules":
                    return self._module_of(inner)
                return Value(self.value(base).nodes, isinstance(inner, ast.Slice), not isinstance(inner, ast.Slice))
            case ast.NamedExpr(target=target, value=inner):
                found_value = self.value(inner)
                self._bind(target, found_value)
                return Value(found_value.nodes | self.value(target).nodes)
            case ast.Call():
                return self._called(node)
            case ast.Lambda():
                return self.function(node, "lambda")
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.value(test)
                return self._either(body, orelse)
            case ast.BoolOp(values=values):
                return self._either(*values)
            case ast.Starred(value=inner) | ast.Await(value=inner):
                return self.value(inner)
            case ast.Yield(value=inner) | ast.YieldFrom(value=inner):
                self._objects.bind(self._code.result, Value(self.value(inner).nodes, True))
                return NOTHING
            case ast.expr() | ast.keyword():
                parts = [self.value(inner).nodes for inner in ast.iter_child_nodes(node)]
                if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.BinOp):
                    return Value(frozenset().union(*parts), True)
        return NOTHING

    def _either(self, *nodes: ast.expr) -> Value:
        values = [self.value(node) for node in nodes]
        every = frozenset().union(*(value.nodes for value in values))
        return Value(every, part=any(value.part or value.new for value in values))

    def _attribute(self, node: ast.Attribute) -> Value:
        if (found := self._fixed(node)) is not None:
            return NOTHING if self._is_plain(node) else Value(frozenset({found}))
        base = self.value(node.value)
        if not base.nodes or self._library(node) is not None:
            return NOTHING
        if node.attr in CHANGES:  # a method that may be called later
            self._note(node, base, deep=not self._is_direct(node.value))
        if node.attr == "__dict__":
            return base
        method = (self._module, f"{self._scope.prefix}.{node.attr}@{node.lineno}:{node.col_offset}")
        self._objects.methods[method] = node.attr
        self._objects.bind(method, Value(base.nodes, part=True))
        return Value(frozenset({method}))

    def _module_of(self, name: ast.expr) -> Value:
        """The module of a name: `sys.modules[__name__]`."""
        if isinstance(name, ast.Name) and name.id == "__name__":
            return Value(frozenset({(self._module, "")}))
        found = self._known.find(name.value) if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
        return NOTHING if found is None else Value(frozenset({(found, "")}))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        targets = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        prefix = f"{self._scope.prefix}for@{node.lineno}:{node.col_offset}."
        first = self.value(node.generators[0].iter)
        around, self._scope = self._scope, Scope(prefix, frozenset(targets), self._scope, outside=frozenset())
        try:
            for index, generator in enumerate(node.generators):
                found = first if index == 0 else self.value(generator.iter)
                self._bind(generator.target, Value(found.nodes, part=True))
                for condition in generator.ifs:
                    self.value(condition)
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            return Value(frozenset().union(*(self.value(part).nodes for part in parts)), True)
        finally:
            self._scope = around

    # -- calls

    def _called(self, node: ast.Call) -> Value:
        function = node.func
        if isinstance(function, ast.Name) and self._node(function.id) is None and hasattr(builtins, function.id):
            return self._builtin(node, function.id)
        positional = [self.value(argument) for argument in node.args]
        named = {keyword.arg or "": self.value(keyword.value) for keyword in node.keywords}
        given = Value(frozenset().union(*(value.nodes for value in (*positional, *named.values()))))
        library = self._library(function)
        if library is not None:
            return self._of_library(node, library, positional, named, given)
        receiver = self.value(function.value) if isinstance(function, ast.Attribute) else NOTHING
        unknown: InPlaceChange | None = self._change(node, Value(given.nodes | receiver.nodes), True)
        if not isinstance(function, ast.Attribute) or self._fixed(function) is not None:
            return self._call(node, self.value(function), positional, named, receiver=receiver, otherwise=unknown)
        name = function.attr
        if name in CHANGES:
            self._change_namespace(node, function.value, node)
            itself = Value(frozenset(each for each in receiver.nodes if each[1]))
            unknown = self._change(node, itself, deep=not self._is_direct(function.value))
            if isinstance(function.value, ast.Name) and self._node(function.value.id) is None:  # `list.append(A, 1)`
                unknown = self._change(node, given, True)
            for each in receiver.nodes:
                self._objects.bind(each, Value(given.nodes, True))
        elif name in READS:
            unknown = None
        return self._call(node, receiver, positional, named, name, receiver, unknown, name in COPIES)

    def _call(
        self,
        place: ast.AST,
        callee: Value,
        positional: Sequence[Value],
        named: dict[str, Value] | None = None,
        method: str = "",
        receiver: Value = NOTHING,
        otherwise: InPlaceChange | None = None,
        copies: bool = False,
        hands_on: bool = False,
    ) -> Value:
        """The result of a call."""
        at = f"{getattr(place, 'lineno', 0)}:{getattr(place, 'col_offset', 0)}"
        result = (self._module, f"{self._scope.prefix}{method}()@{at}")
        call = Call(callee, method, receiver, [*positional], named or {}, result, otherwise, copies, hands_on)
        if callee.nodes or receiver.nodes or call.given():
            self._code.calls.append(call)
            return Value(frozenset({result}))
        return NOTHING

    def _of_library(
        self, node: ast.Call, library: str, positional: list[Value], named: dict[str, Value], given: Value
    ) -> Value:
        top, last = library.partition(".")[0], library.rpartition(".")[2]
        if last == "import_module" and node.args:
            return self._module_of(node.args[0])
        change = None
        if last in CHANGES_OF_LIBRARIES:
            direct = bool(node.args) and self._is_direct(node.args[0])
            change = self._change(node, positional[0] if positional else given, deep=not direct)
        elif top not in CHANGE_NOTHING and not last[:1].isupper():
            change = self._change(node, given, deep=True)
        copies = last not in GIVES_OF_LIBRARIES and (top in CHANGE_NOTHING or last[:1].isupper())
        result = self._call(node, NOTHING, positional, named, otherwise=change, copies=copies, hands_on=True)
        return result if top not in PACKAGES else NOTHING

    def _builtin(self, node: ast.Call, name: str) -> Value:
        if name in ("getattr", "setattr", "delattr") and len(node.args) > 1:
            key = node.args[1]
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                place = ast.copy_location(ast.Attribute(node.args[0], key.value, ast.Load()), node)
                if name == "getattr":
                    return self.value(place)
                self._bind(place, self.value(node.args[2]) if len(node.args) > 2 else NOTHING)
                return NOTHING
            if name != "getattr":
                self._note(node, self.value(node.args[0]), deep=not self._is_direct(node.args[0]))
        if name in ("globals", "locals", "vars") and not node.args:
            inside = name != "globals" and self._scope.prefix
            return NOTHING if inside else Value(frozenset({(self._module, "")}))
        if name == "__import__" and node.args:
            return self._module_of(node.args[0])
        positional = [self.value(argument) for argument in node.args]
        named = {keyword.arg or "": self.value(keyword.value) for keyword in node.keywords}
        if name in ("exec", "eval"):
            told = all(isinstance(each, ast.Constant) for each in node.args[:1])
            names = names_in_texts(node) & self._source.names if told else {""}
            for each in names:
                self._rebind(node, (self._module, each))
            return NOTHING
        if name == "super":
            around: Scope | None = self._scope
            while around is not None and not around.is_class:
                around = around.around
            return Value(frozenset({(self._module, around.prefix[:-1])})) if around is not None else NOTHING
        if name in CHANGE_NO_ARGUMENT:
            return NOTHING
        return self._call(node, NOTHING, positional, named, copies=name not in GIVES_WHAT_IT_GETS, hands_on=True)
