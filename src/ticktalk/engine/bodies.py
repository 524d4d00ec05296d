"""Bodies: from the sources that travel in a graph to functions that can be called.

`GraphCode` is a graph's code in one process. Module-level statements that bodies need run once in it. Every instance
gets a namespace of its own: classes and modules are shared, assigned values copied, functions re-bound. Shared code
works on the namespace of the instance that calls it (`language/own_names.py`).
Modules beside the program are imported from the graph. Those of two graphs never meet (`graph/travelled_modules.py`).
"""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import importlib
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ticktalk.engine.components import component
from ticktalk.engine.this_firing import firing
from ticktalk.error_hints import told
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTFunction, TTGraph
from ticktalk.graph.needed_modules import imported_modules
from ticktalk.graph.sq import TTSQ
from ticktalk.graph.travelled_modules import TravelledModules
from ticktalk.instructions import INSTRUCTIONS
from ticktalk.language.decorators import DECORATORS, undecorated
from ticktalk.language.own_names import OwnNames, OwnNamesOfGraph, in_instance
from ticktalk.time import TTClock, TTEmpty, TTTime, TTToken
from ticktalk.values.classes import class_in
from ticktalk.values.codec import value_decoder

_OF_TIME = {"TTClock": TTClock, "TTEmpty": TTEmpty, "TTTime": TTTime, "TTToken": TTToken}
_KNOWN = {"component": component, "firing": firing, **_OF_TIME}
"""Constructs that a body knows without import, as a graph body does."""

LINES_OF_DECORATOR = 4
"""Lines of TickTalk's decorator and the `def` under it, at most, in an imported module."""

NOTHING = TTEmpty()
"""The value of `return TTEmpty()`: one object for all firings that send nothing."""

_NAN = float("nan")  # stands for it in a syntax tree; no program can write this constant


class BodyError(Exception):
    """A body that cannot be prepared here: a missing module, another Python's syntax, a statement that raises."""


class GraphCode:
    """The code of one graph in this process.

    Args:
        graph: whose functions, statements and modules are meant; only those of the SQs asked for are run.

    Raises (from `prepare` and `body`):
        BodyError: the code does not compile or does not run here; the message says where and why.
    """

    def __init__(self, graph: TTGraph) -> None:
        self.graph = graph
        self.decode = value_decoder(self.find_class)  # of values that may be of the program's classes
        self.file = graph.file or f"{graph.name}.py"
        self.module = types.ModuleType(graph.module)
        self._own = OwnNamesOfGraph(graph, self.module)
        self._travelled = TravelledModules(graph.modules, {**_KNOWN, **DECORATORS}, self._own.shared)
        self.module.__file__ = self.file
        self.module.__package__ = ""
        self.module.__dict__.update(_KNOWN)
        self._travelled.add(self.module, is_program=True)
        self._flags = 0
        if any(statement.source.startswith("from __future__") for statement in graph.statements):
            self._flags = __future__.annotations.compiler_flag
        self._ran: set[int] = set()
        self._assigned: set[str] = set()
        self._codes: dict[str, types.CodeType] = {}

    def forget(self) -> None:
        """Give up the modules that were imported for this graph."""
        self._travelled.forget()

    def prepare(self, sqs: Iterable[TTSQ]) -> None:
        """Run the module-level statements that the bodies of `sqs` need, and compile those bodies."""
        functions = {sq.function: self.graph.functions[sq.function] for sq in sqs if sq.body}
        for function in functions.values():
            if not function.needs:
                self._module_of(function)
        self._run(sorted({need for function in functions.values() for need in function.needs}))
        for function in functions.values():
            self._module_of(function)  # one that takes names of the program finds them there
        for name, function in functions.items():
            if name not in self._codes and not function.module:
                own = self.module.__dict__["TTEmpty"] is TTEmpty
                self._codes[name] = self._compile(function.source, function.line, without_empties=own)

    def _run(self, needed: Iterable[int]) -> None:
        """Run those of the module-level statements that have not been run, in source order."""
        for index in needed:
            if index in self._ran:
                continue
            statement = self.graph.statements[index]
            code = self._compile(statement.source, statement.line)
            code = self._own.shared(self.module, code, "\n" * (statement.line - 1) + statement.source)
            try:
                exec(code, self.module.__dict__)
            except (Exception, SystemExit) as error:
                line = _line_of(error, self.file) or statement.line
                raise BodyError(f"{self.file}:{line}: {self._told(error)}") from error
            self._ran.add(index)
            self._assigned.update(statement.assigns)

    def try_out(self, sqs: Iterable[TTSQ]) -> None:
        """`prepare`, and make one body of each function, so that its errors are known before the start."""
        sqs = list(sqs)
        for sq in sqs:
            if not sq.body and sq.function not in INSTRUCTIONS and sq.function != "TTFinishByOtherwise":
                raise BodyError(f"{sq.name}: this TickTalk has no instruction {sq.function}")
        self.prepare(sqs)
        for sq in {sq.function: sq for sq in sqs if sq.body}.values():
            self.body(sq)

    def body(self, sq: TTSQ) -> tuple[Callable[..., Any], dict[str, Any]]:
        """The body of one instance, set to its compile-time parameters, and the instance's namespace."""
        self.prepare([sq])
        function = self.graph.functions[sq.function]
        module = self._module_of(function)
        assigned = function.assigns if function.module else self._assigned
        namespace = self._namespace(module.__dict__, assigned, self._own.of.get(function.module))
        try:
            if not function.module:
                exec(self._codes[sq.function], namespace)
            body = namespace[sq.function.rpartition(".")[2]]
        except (Exception, SystemExit) as error:
            file = self.file_of(sq)
            line = _line_of(error, file) or function.line
            raise BodyError(f"{file}:{line}: {self._told(error)}") from error
        parameters = {name: decode_constant(value) for name, value in sq.parameters.items()}
        return in_instance(set_parameters(body, parameters), namespace), namespace

    def is_plain(self, sq: TTSQ, body: types.FunctionType, imported: bool = False) -> bool:
        """True if `body` is what the `def` of an SQ's function makes: no decorator has put another in its place.

        `imported`: that may stand in another module of the program, too.
        """
        function = self.graph.functions[sq.function]
        if not function.module:
            return any(part is body.__code__ for part in self._codes[sq.function].co_consts)
        # Its module is compiled as a whole, from text that has come with the graph: so lines are those of that.
        lines = range(body.__code__.co_firstlineno, function.line + 1)
        here = 0 < len(lines) <= LINES_OF_DECORATOR and function.source.startswith(f"def {body.__name__}(")
        return imported and here and self._travelled.has(function.module)

    def file_of(self, sq: TTSQ) -> str:
        """The file of an SQ's body, as tracebacks have it; of an instruction, the one in which it is used."""
        if not sq.body:
            return sq.file or self.file
        return self._module_of(self.graph.functions[sq.function]).__file__ or self.file

    def _module_of(self, function: TTFunction) -> types.ModuleType:
        """The module in which a function is defined."""
        if not function.module:
            return self.module
        try:
            if self._travelled.has(function.module):
                return self._travelled.load(function.module)
            return importlib.import_module(function.module)
        except (Exception, SystemExit) as error:
            raise BodyError(f"{function.module} cannot be imported: {self._told(error)}") from error

    def _told(self, error: BaseException) -> str:
        """The text of an error; of one that a module raised that came with the graph, the line there, too."""
        files = {f"{name.replace('.', '/')}.py" for name in self.graph.modules}
        frames = traceback.walk_tb(error.__traceback__)
        inside = [f"{frame.f_code.co_filename}:{line}" for frame, line in frames if frame.f_code.co_filename in files]
        return told(error) + (f" ({inside[-1]})" if inside else "")

    def find_class(self, name: str) -> Any:
        """A class by its name on the wire (`values.classes`); None if there is none.

        It is looked for in the program, in modules that travel with it, and in those that its sources import. A class
        that no body here names may still arrive in a value: then all module-level statements are run.
        """
        module, _, name = name.rpartition(":")
        found = class_in(self._namespace_of(module), name)
        if found is None and not module and len(self._ran) < len(self.graph.statements):
            try:
                self._run(range(len(self.graph.statements)))
            except BodyError:
                return None
            found = class_in(self._namespace_of(module), name)
        return found

    def _namespace_of(self, module: str) -> dict[str, Any]:
        """The names of a module; none if it is not one that a value of this graph can need."""
        if not module:
            return self.module.__dict__
        try:
            if self._travelled.has(module):
                return vars(self._travelled.load(module))
            if module not in sys.modules and module.partition(".")[0] in self._imported:
                importlib.import_module(module)
        except Exception:  # whatever a module does when it is imported
            return {}
        return vars(sys.modules[module]) if module in sys.modules else {}

    @functools.cached_property
    def _imported(self) -> frozenset[str]:
        """The top-level modules that the graph's sources import, anywhere in them."""
        graph = self.graph
        return imported_modules(
            [
                *(statement.source for statement in graph.statements),
                *(function.source for function in graph.functions.values()),
                *graph.modules.values(),
            ]
        )

    def show_in_tracebacks(self) -> None:
        """Let tracebacks show the program's lines."""
        lines: dict[int, str] = {}
        sources = [(s.line, s.source) for s in self.graph.statements]
        sources += [(f.line, f.source) for f in self.graph.functions.values() if not f.module]
        for first, source in sources:
            for offset, text in enumerate(source.splitlines()):
                lines[first + offset] = text + "\n"
        whole = [lines.get(number, "\n") for number in range(1, max(lines, default=0) + 1)]
        linecache.cache[self.file] = (sum(map(len, whole)), None, whole, self.file)

    def _compile(self, source: str, line: int, without_empties: bool = False) -> types.CodeType:
        try:
            text = "\n" * (line - 1) + source
            flags = self._flags
            parsed: Any = text
            if without_empties and "TTEmpty()" in source:
                parsed = _returning_nothing(ast.parse(text, self.file))
            code: types.CodeType = compile(parsed, self.file, "exec", flags=flags, dont_inherit=True)
            return code if parsed is text else _with_nothing(code)
        except (SyntaxError, ValueError) as error:
            at = getattr(error, "lineno", None) or line
            python = f"{sys.version_info.major}.{sys.version_info.minor}"
            what = error.msg if isinstance(error, SyntaxError) else str(error)
            raise BodyError(f"{self.file}:{at}: Python {python} cannot compile this: {what}") from None

    def _namespace(self, shared: dict[str, Any], assigned: Collection[str], own: OwnNames | None) -> dict[str, Any]:
        namespace = {**_KNOWN, **shared}
        copies = _Copies(shared, namespace, {} if own is None else own.plain)
        for name, value in shared.items():
            value = undecorated(value)
            if name in assigned or copies.is_function(value):
                namespace[name] = copies.copy(value)
        if own is not None:
            own.let_in(namespace)
        namespace["sq_state"] = {}
        return namespace


def set_parameters(body: Callable[..., Any], parameters: dict[str, Any]) -> Callable[..., Any]:
    """`body` with other defaults; a plain function is set in place, which costs a firing nothing."""
    if not parameters:
        return body
    if not isinstance(body, types.FunctionType):
        return functools.partial(body, **parameters)
    code = body.__code__
    names = code.co_varnames[: code.co_argcount]
    defaults = list(body.__defaults__ or ())
    first = len(names) - len(defaults)
    for name, value in parameters.items():
        if name in names[first:]:
            defaults[names.index(name) - first] = value
        else:
            body.__kwdefaults__ = {**(body.__kwdefaults__ or {}), name: value}
    body.__defaults__ = tuple(defaults)
    return body


def _returning_nothing(module: ast.Module) -> ast.Module:
    """A body that returns one `TTEmpty` again and again instead of making them; no program can tell."""
    nodes = list(ast.walk(module))
    if any("TTEmpty" in _bound(node) for node in nodes):
        return module  # it means something else by the name
    for node in nodes:
        if isinstance(node, ast.Return) and isinstance(call := node.value, ast.Call):
            named = isinstance(call.func, ast.Name) and call.func.id == "TTEmpty"
            if named and not call.args and not call.keywords:
                node.value = ast.copy_location(ast.Constant(_NAN), call)
    return module


def _with_nothing(code: types.CodeType) -> types.CodeType:
    """`code` with `NOTHING` where `_returning_nothing` has put `_NAN`: a constant is faster than a global."""
    constants = [_with_nothing(item) if isinstance(item, types.CodeType) else item for item in code.co_consts]
    return code.replace(co_consts=tuple(NOTHING if item is _NAN else item for item in constants))


def _bound(node: ast.AST) -> tuple[str, ...]:
    """The names that a node binds."""
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, ast.alias):
        return (node.asname or node.name,)
    if isinstance(node, ast.arg):
        return (node.arg,)
    if isinstance(node, ast.Global | ast.Nonlocal):
        return tuple(node.names)
    return (node.name,) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else ()


class _Copies:
    """Copies the parts of an instance: assigned values, and functions, which then see the instance's names.

    A function keeps its way into tables, closures, defaults, `functools.partial` and `lru_cache`: wherever it is met
    again, it is the same copy.
    """

    def __init__(self, shared: dict[str, Any], namespace: dict[str, Any], plain: dict[Any, Any]) -> None:
        self._shared = shared
        self._namespace = namespace
        self._plain = plain
        self._memo: dict[Any, Any] = {_Copies: self}
        # Objects that deepcopy will meet inside other objects.
        for value in map(undecorated, shared.values()):
            if self.is_function(value):
                self.copy(value)

    def is_function(self, value: Any) -> bool:
        """True if `value` is a function of the program, or wraps one."""
        if isinstance(value, types.FunctionType):
            return value.__globals__ is self._shared
        if isinstance(value, functools.partial):
            return self.is_function(value.func)
        return hasattr(value, "cache_parameters") and self.is_function(getattr(value, "__wrapped__", None))

    def copy(self, value: Any) -> Any:
        """The instance's own `value`; values that cannot be copied (a lock, an open file) are shared."""
        known = self._memo.get(id(value))
        if known is not None:
            return known
        made: Any
        if isinstance(value, types.FunctionType) and value.__globals__ is self._shared:
            return self._function(value)
        if isinstance(value, functools.partial) and self.is_function(value):
            made = functools.partial(self.copy(value.func), *map(self.copy, value.args), **self.copy(value.keywords))
        elif self.is_function(value):
            made = functools.lru_cache(**value.cache_parameters())(self.copy(value.__wrapped__))
        else:
            try:
                return copy.deepcopy(value, self._memo)
            except Exception:
                made = value
        self._memo[id(value)] = made
        return made

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        originals = function.__closure__ or ()
        new = {id(cell) for cell in originals} - self._memo.keys()  # two functions may share a cell
        cells = tuple(self._memo.setdefault(id(cell), types.CellType()) for cell in originals)
        code = self._plain.get(function.__code__, function.__code__)
        made = types.FunctionType(code, self._namespace, function.__name__, None, cells or None)
        self._memo[id(function)] = made  # before its content, which may hold it
        for cell, original in zip(cells, originals, strict=True):
            try:
                if id(original) in new:
                    cell.cell_contents = self.copy(original.cell_contents)
            except ValueError:  # nothing is in it yet
                pass
        made.__defaults__ = self.copy(function.__defaults__)
        made.__kwdefaults__ = self.copy(function.__kwdefaults__)
        made.__dict__.update({name: self.copy(item) for name, item in function.__dict__.items()})
        made.__doc__ = function.__doc__
        # From Python 3.14 on annotations are computed when they are asked for: some of their names may never be there.
        annotated = "__annotate__" if getattr(function, "__annotate__", None) else "__annotations__"
        setattr(made, annotated, getattr(function, annotated))
        made.__qualname__, made.__module__ = function.__qualname__, function.__module__
        return made


def _deepcopied(function: types.FunctionType, memo: dict[Any, Any]) -> types.FunctionType:
    copies: _Copies | None = memo.get(_Copies)
    return function if copies is None or not copies.is_function(function) else copies.copy(function)


def _deepcopied_method(method: Any, memo: dict[Any, Any]) -> Any:
    """`LIST.append`, as that of the copy of `LIST`."""
    if _Copies not in memo or isinstance(method.__self__, types.ModuleType | type | None):
        return method
    owner = memo[_Copies].copy(method.__self__)  # functions of some libraries have one that does not give them
    return method if owner is method.__self__ else getattr(owner, method.__name__)


# Functions that only a table holds, such as a `lambda`, see the instance's names as well. Others stay as they are.
_DEEPCOPIED: dict[type, Callable[[Any, dict[Any, Any]], Any]] = {
    types.FunctionType: _deepcopied,
    types.BuiltinMethodType: _deepcopied_method,
    types.MethodWrapperType: _deepcopied_method,
    # A bare `object()` has nothing that could change: it marks something by being this one.
    object: lambda mark, memo: mark if _Copies in memo else object(),
}
copy._deepcopy_dispatch.update(_DEEPCOPIED)  # type: ignore[attr-defined]
getattr(copy, "_atomic_types", set()).difference_update(_DEEPCOPIED)  # Python 3.14 looks there first


def _line_of(error: BaseException, file: str) -> int | None:
    """The innermost line of `file` in the error's traceback."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
