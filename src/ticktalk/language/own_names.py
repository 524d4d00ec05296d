"""The names of a module of which each instance has its own, as the code that all instances share sees them.

Classes are shared by the instances of an ensemble, and so are functions that a class, a library or another module has
taken in. Such a function works on the names of the instance that has called it, as a method does in plain Python on
those of its module. So its code asks for them (`shared_code`), and here is the answer. An instance's own copies of
functions are of the plain code, which asks nothing.
"""

from __future__ import annotations
import __future__

import builtins
import sys
import threading
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ticktalk.graph.graph import TTFunction, TTGraph, TTStatement
from ticktalk.language.shared_code import FREE, MEANT, asking_code, names_of, own_names_in

_STARTED_IN = "__names of the instances in which it was started__"
"""An attribute of a thread."""


class _Names:
    """A namespace, its names as attributes."""

    __slots__ = ("__copies", "__dict__", "__of")

    def __init__(self, namespace: dict[str, Any], of: _Meant, copies: dict[int, tuple[Any, Any]]) -> None:
        self.__of = of
        self.__copies = copies
        self.__dict__ = namespace

    def __getattr__(self, name: str) -> Any:
        if name == "globals":
            return lambda: self.__dict__
        try:
            return vars(builtins)[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined", name=name) from None

    def __delattr__(self, name: str) -> None:
        if self.__dict__.pop(name, self) is self:
            raise NameError(f"name {name!r} is not defined", name=name)

    def __call__(self, value: Any, name: str = "") -> Any:
        """The stand-in here for a value of the module; with a name: bind it, where Python lets no attribute stand."""
        if name:
            self.__dict__[name] = value
            return value
        return self.__copies.get(id(value), (None, value))[1]

    def __deepcopy__(self, memo: Any) -> _Names:
        return self

    def module_of(self) -> _Meant:
        return self.__of


class _Meant:
    """Gives the names that a module's function means: those of the instance whose function is nearest in the stack."""

    __slots__ = ("begun", "module")

    def __init__(self, module: dict[str, Any]) -> None:
        self.begun = False  # whether there are instances
        self.module = _Names(module, self, {})

    def __call__(self) -> _Names:
        if not self.begun:
            return self.module
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None:
            found = frame.f_globals.get(MEANT)
            if found.__class__ is _Names and _Names.module_of(found) is self:  # a program may use that name, too
                return found
            frame = frame.f_back
        names: _Names = getattr(threading.current_thread(), _STARTED_IN, {}).get(self, self.module)
        return names

    def __deepcopy__(self, memo: Any) -> _Meant:
        return self


def _follow_threads() -> None:
    """Let a thread work on the names of the instances that started it."""
    start = threading.Thread.start

    def followed(thread: threading.Thread) -> None:
        known: dict[_Meant, _Names] = {}
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None:
            found = frame.f_globals.get(MEANT)
            if found.__class__ is _Names:
                known.setdefault(_Names.module_of(found), found)
            frame = frame.f_back
        setattr(thread, _STARTED_IN, {**getattr(threading.current_thread(), _STARTED_IN, {}), **known})
        start(thread)

    if start.__module__ != __name__:
        threading.Thread.start = followed  # type: ignore[assignment,method-assign]


class OwnNames:
    """The names of one module of which each instance has its own.

    Args:
        module: the module's namespace.
        sources: of its statements and of the bodies of its SQs.
        assigned: the names that its statements assign, which are copied per instance.
    """

    def __init__(self, module: dict[str, Any], sources: Iterable[str], assigned: Iterable[str]) -> None:
        self._module = module
        self._sources = tuple(sources)
        self._assigned = frozenset(assigned)
        self.plain: dict[types.CodeType, types.CodeType] = {}
        """By the code of a function that is shared, the code of its copies in instances."""

    def shared(self, plain: types.CodeType, text: str) -> types.CodeType:
        """The code of statements, of which `plain` was compiled, with functions that all instances can share."""
        if not any(isinstance(part, types.CodeType) for part in plain.co_consts):
            return plain
        own = own_names_in(self._sources, self._assigned)
        if (own | {FREE}).isdisjoint(names_of(plain)):
            return plain
        made = asking_code(text, plain.co_filename, plain.co_flags & __future__.annotations.compiler_flag, own)
        self._pair(made, plain)
        self._module.setdefault(MEANT, _Meant(self._module))
        return made

    def let_in(self, namespace: dict[str, Any]) -> None:
        """Let a copy of the module's namespace be an instance's, which shared functions find."""
        if MEANT not in namespace:
            return
        module, meant = self._module, self._module[MEANT]
        names = [name for name in self._assigned if name in module and namespace[name] is not module[name]]
        namespace[MEANT] = _Names(namespace, meant, {id(module[n]): (module[n], namespace[n]) for n in names})
        if not meant.begun:
            meant.begun = True
            _follow_threads()
        _let_see({id(module[name]) for name in names}, meant)  # classes may come with an instance that moves here

    def _pair(self, made: types.CodeType, plain: types.CodeType) -> None:
        inner = [[part for part in code.co_consts if isinstance(part, types.CodeType)] for code in (made, plain)]
        for one, other in zip(*inner, strict=True):
            self.plain[one] = other
            self._pair(one, other)


class _OfClass:
    """An attribute of a class that is what a name of the module holds: `class Log: entries = ENTRIES`."""

    def __init__(self, value: Any, meant: _Meant) -> None:
        self._value, self._meant = value, meant

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._meant()(self._value)


def _let_see(held: set[int], meant: _Meant) -> None:
    """Let the classes of a module, and those in them, see what its names held in the instance that asks."""
    waiting = [each for each in vars(meant.module).values() if isinstance(each, type)]
    for kind in waiting:
        if kind.__module__ != vars(meant.module).get("__name__"):
            continue
        for attribute, value in list(vars(kind).items()):
            if isinstance(value, type) and value.__qualname__.startswith(f"{kind.__qualname__}."):
                waiting.append(value)
            elif id(value) in held and not (attribute.startswith("_") and attribute.endswith("_")):
                with suppress(Exception):  # of a class that allows no change
                    setattr(kind, attribute, _OfClass(value, meant))


def in_instance(body: Callable[..., Any], namespace: dict[str, Any]) -> Callable[..., Any]:
    """`body`, such that a function of its instance is in the stack also where a decorator has made an object of it."""
    if MEANT not in namespace or getattr(body, "__globals__", None) is namespace:
        return body

    def called(*arguments: Any, **named: Any) -> Any:
        return body(*arguments, **named)

    return types.FunctionType(called.__code__, namespace, called.__name__, None, called.__closure__)


class OwnNamesOfGraph:
    """The names of each module that defines SQs of a graph.

    Attributes:
        of: by a module's name, "" for the program, what is known when the first of its code has been compiled.
    """

    def __init__(self, graph: TTGraph, program: types.ModuleType) -> None:
        self._graph = graph
        self._program = program
        self.of: dict[str, OwnNames] = {}

    def shared(self, module: types.ModuleType, code: types.CodeType, text: str) -> types.CodeType:
        """The code of a module, or of one of the program's statements, as all instances share it."""
        name = "" if module is self._program else module.__name__
        functions = [function for function in self._graph.functions.values() if function.module == name]
        if not functions:
            return code
        if name not in self.of:
            parts: list[TTFunction | TTStatement] = [*functions, *([] if name else self._graph.statements)]
            sources = [text] if name else [each.source for each in parts]
            self.of[name] = OwnNames(module.__dict__, sources, [name for each in parts for name in each.assigns])
        return self.of[name].shared(code, text)
