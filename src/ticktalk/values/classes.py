"""Values of classes that are known by name: data classes, enums, named tuples, struct sequences, exceptions.

On the wire a class is `module:qualified name`, or the qualified name alone if the program itself defines it. A class
that is not found under its name, one defined inside a function for example, cannot be made again, so its producer is
told. Nothing of a class is called to make a value again: no `__init__`, no `__new__` of the program.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import io
import sys
import threading
import types
from collections import namedtuple
from collections.abc import Callable, Coroutine, Iterator, MappingView
from typing import Any
from weakref import WeakKeyDictionary

from ticktalk.values.kinds import NoCodecError, ValueFormatError, type_name

Classes = Callable[[str], Any]
"""Finds a class by its name on the wire; None: it is not there."""

_LONGEST_CHAIN = 1_000
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that was made by a `class` statement

_known: dict[str, WeakKeyDictionary[types.ModuleType, bool]] = {}
"""By name, the modules of the graphs in this process, and whether they are the programs themselves."""

_knowing = threading.Lock()

_names: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_fields: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


def know_module(module: types.ModuleType, is_program: bool) -> None:
    """Let the classes of a graph's module be known. Of one graph, each of its ensembles in a process has its own."""
    with _knowing:
        for name in [name for name, modules in _known.items() if not modules]:
            del _known[name]  # that graph has gone; each version of a graph has a name of its own
        _known.setdefault(module.__name__, WeakKeyDictionary())[module] = is_program


def class_in(namespace: dict[str, Any], name: str) -> Any:
    """The class of this qualified name in a module's namespace, or None.

    A named tuple may go by another name there than its own, such as `shutil.disk_usage`'s.
    """
    first, *rest = name.split(".")
    found: Any = namespace.get(first)
    for part in rest:
        found = getattr(found, part, None)
    if isinstance(found, type) and found.__qualname__ == name:
        return found
    named = [each for each in list(namespace.values()) if isinstance(each, type) and each.__qualname__ == name]
    return named[0] if named else found if isinstance(found, type) else None


def class_name(kind: type) -> str:
    """A class as it is called on the wire.

    Raises:
        NoCodecError: it is not found under this name.
    """
    name = _names.get(kind)
    if name is None:
        name = _names[kind] = _name_of(kind)
    return name


def _name_of(kind: type) -> str:
    module, name = kind.__module__, kind.__qualname__
    for known, is_program in list(_known.get(module, {}).items()):
        if class_in(vars(known), name) is kind:
            return name if is_program else f"{module}:{name}"
    holder = sys.modules.get(module)
    if holder is not None and class_in(vars(holder), name) is kind:
        return f"{module}:{name}"
    raise NoCodecError(
        f"a value of type {module}.{name} cannot be kept, because its module has no class of this name:"
        " define the class at the top of a module"
    )


def take_apart(value: Any) -> list[Any] | None:
    """Form and parts of a value that is known by its class, as plainer values; None if it is of no such class."""
    kind: type = value.__class__
    if isinstance(value, enum.Flag):
        return ["flag", value.value]
    if isinstance(value, enum.Enum):
        plain = value.value.__class__ in (int, str, float, bool, bytes, type(None))
        return ["enum", value.name, value.value if plain else value.name]
    if isinstance(value, BaseException):
        chain = _chain_of(value)
        links = _links(chain)
        linked = [[_alone(each) for each in chain[1:]], links] if links != [[None, None, False]] else []
        return ["error", *_error_parts(value), *linked]
    if isinstance(value, tuple):
        names, items = _named_fields(kind), list(tuple.__iter__(value))  # its own __iter__ may give others
        if names is not None and len(names) == len(items):
            return ["named", list(names), items, _attributes(kind, getattr(value, "__dict__", {}))]
        if hasattr(kind, "n_sequence_fields"):
            reduced: Any = value.__reduce__()
            items, more = reduced[1]
            return ["sequence", list(items), more]
        return None
    if dataclasses.is_dataclass(value) and _is_plain(kind):
        fields = [field.name for field in dataclasses.fields(kind)]
        state = {name: getattr(value, name) for name in [*fields, *_slots(kind)] if hasattr(value, name)}
        return ["data", fields, _attributes(kind, {**state, **getattr(value, "__dict__", {})})]
    return None


def _error_parts(error: BaseException) -> list[Any]:
    """The arguments of an exception for its built-in base, and its attributes."""
    kind = type(error)
    base: Any = next(each for each in kind.__mro__ if not each.__flags__ & _HEAP)
    reduced = base.__reduce__(error)
    made_by, arguments = reduced[0], reduced[1]
    state = reduced[2] if len(reduced) > 2 and isinstance(reduced[2], dict) else {}
    attributes: dict[str, Any] = {**state, **vars(error)}
    return [list(arguments) if made_by is kind else list(error.args), _attributes(kind, attributes)]


def _chain_of(error: BaseException) -> list[BaseException]:
    """An exception, its `__cause__` and its `__context__`, theirs, and so on: each once."""
    chain = {id(error): error}
    ahead = [error]
    while ahead:
        found = ahead.pop()
        for other in (found.__cause__, found.__context__):
            if other is not None and id(other) not in chain:
                chain[id(other)] = other
                ahead.append(other)
        if len(chain) > _LONGEST_CHAIN:
            raise NoCodecError(
                f"an exception with a chain of more than {_LONGEST_CHAIN} others (__cause__, __context__)"
                " cannot be passed on: raise it from None"
            )
    return list(chain.values())


def _links(chain: list[BaseException]) -> list[list[Any]]:
    """Of each exception: where its cause and its context are in the chain, and whether the context is left unshown."""
    places = {id(each): place for place, each in enumerate(chain)}
    return [
        [places.get(id(each.__cause__)), places.get(id(each.__context__)), each.__suppress_context__] for each in chain
    ]


def _alone(error: BaseException) -> Any:
    """A copy of an exception that has neither cause nor context."""
    return made(type(error), ["error", *_error_parts(error)])


def _linked(chain: list[Any], links: list[Any]) -> None:
    """Give the exceptions of a chain their causes and contexts again."""
    for error, (cause, context, suppressed) in zip(chain, links, strict=True):
        error.__cause__ = None if cause is None else chain[cause]
        error.__context__ = None if context is None else chain[context]
        error.__suppress_context__ = bool(suppressed)


def _is_plain(kind: type) -> bool:
    """True if a value holds attributes only: no dict or list or other built-in value besides."""
    return all(base is object or base.__flags__ & _HEAP for base in kind.__mro__)


def no_codec(value: Any) -> NoCodecError:
    """The error of a value without a codec: its type, and what to send instead."""
    instead = "register one with ticktalk.register_codec, or return something plainer"
    if isinstance(value, Coroutine):
        value.close()  # else Python warns of a line of ours
        instead = "nothing awaits it: call it by asyncio.run(...), or write a plain `def`"
    elif isinstance(value, io.IOBase):
        instead = "return what is read from it"
    elif isinstance(value, (Iterator, MappingView)):
        instead = "return list(...) of it"
    elif isinstance(value, memoryview):
        instead = "return bytes(...) of it"
    elif isinstance(value, type):
        instead = f"return an object, `{value.__name__}(...)`, in place of the class"
    elif type(value).__module__ in _known and _is_plain(type(value)):
        instead = "make its class a dataclass, " + instead.replace("one", "a codec", 1)
    elif callable(value):
        instead = "return what it computes"
    return NoCodecError(f"a value of type {type_name(value)} has no codec, so it cannot be passed on: {instead}")


def _slots(kind: type) -> list[str]:
    found = []
    for base in kind.__mro__:
        names = base.__dict__.get("__slots__", ())
        found += [names] if isinstance(names, str) else list(names)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _attributes(kind: type, state: dict[str, Any]) -> dict[str, Any]:
    """Without what is computed again when it is asked for, and what `Box[int](1)` notes of itself."""
    state = {name: value for name, value in state.items() if name != "__orig_class__"}
    return {n: v for n, v in state.items() if not isinstance(getattr(kind, n, None), functools.cached_property)}


def put_together(name: str, parts: list[Any], classes: Classes | None) -> Any:
    """The value that `take_apart` was given, of the class of this name.

    Raises:
        ValueFormatError: there is no such class here.
    """
    kind = classes(name) if classes is not None else None
    if kind is None and classes is as_data:
        return _data(name, parts)
    if isinstance(kind, type):
        value = made(kind, parts)
        if value is not None:
            return value
    shown = name.replace(":", ".")
    raise ValueFormatError(f"{shown} is no dataclass, enum, named tuple or exception that is known here")


def made(kind: Any, parts: list[Any]) -> Any:
    """A value of a class from its form and parts; None if the class has no values of this form."""
    form, *rest = parts
    value: Any
    if form == "flag" and issubclass(kind, enum.Flag):
        return kind(rest[0])
    if form == "enum" and issubclass(kind, enum.Enum):
        return kind[rest[0]]
    if form == "sequence" and issubclass(kind, tuple) and hasattr(kind, "n_sequence_fields"):
        return kind(tuple(rest[0]), rest[1])
    if form == "named" and issubclass(kind, tuple) and (fields := _named_fields(kind)) is not None:
        _check_fields(kind, rest[0], fields)
        if len(rest[1]) != len(fields):
            raise ValueFormatError(f"{len(rest[1])} values for the {len(fields)} fields of {kind.__qualname__}")
        value = tuple.__new__(kind, rest[1])
        return _with_attributes(value, rest[2])
    if form == "error" and issubclass(kind, BaseException):
        base = next(each for each in kind.__mro__ if not each.__flags__ & _HEAP)
        value = base.__new__(kind, *rest[0])
        base.__init__(value, *rest[0])
        if len(rest) > 2:
            _linked([value, *rest[2]], rest[3])
        return _with_attributes(value, rest[1])
    if form == "data" and hasattr(kind, "__dataclass_fields__") and _is_plain(kind):
        _check_fields(kind, rest[0], _fields_of(kind))
        # The attributes are set as they were: __init__ may take others, or check against the outside world.
        value = object.__new__(kind)
        return _with_attributes(value, rest[1])
    return None


def _named_fields(kind: type) -> tuple[str, ...] | None:
    """The names of a named tuple's items; None if it is another tuple.

    A class over it may name more, as that of `platform.uname()` does: these are no items.
    """
    found: Any = next((each for each in kind.__mro__ if tuple in each.__bases__), None)
    return getattr(found, "_fields", None)


def _fields_of(kind: type) -> tuple[str, ...]:
    fields = _fields.get(kind)
    if fields is None:
        found: Any = kind
        fields = _fields[kind] = tuple(field.name for field in dataclasses.fields(found))
    return fields


def _check_fields(kind: Any, given: list[str], fields: tuple[str, ...]) -> None:
    if tuple(given) != fields:
        found, wanted = ", ".join(map(str, given)), ", ".join(fields)
        raise ValueFormatError(f"a {kind.__qualname__} with the fields {found}; the class here has {wanted}")


def _with_attributes(value: Any, attributes: dict[str, Any]) -> Any:
    for name, item in attributes.items():
        if name.startswith("__") and name.endswith("__") and name != "__notes__":
            raise ValueFormatError(f"an attribute {name}")
        object.__setattr__(value, name, item)
    return value


def as_data(name: str) -> Any:
    """No class is known, and values of them are wanted as data: tuples of their fields, values of enums."""
    return None


def _data(name: str, parts: list[Any]) -> Any:
    form, *rest = parts
    short = name.rpartition(":")[2].rpartition(".")[2]
    if form == "flag":
        return rest[0]
    if form == "enum":
        return rest[1]
    if form == "sequence":
        return tuple(rest[0])
    if form == "named":
        return _tuple_class(short, tuple(rest[0]))(*rest[1])
    if form == "data":
        return _data_class(short, tuple(rest[0]))(*(rest[1].get(field) for field in rest[0]))
    return _error_class(short)(*rest[0])


@functools.lru_cache(1000)
def _tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)


@functools.lru_cache(1000)
def _data_class(name: str, fields: tuple[str, ...]) -> Any:
    return dataclasses.make_dataclass(name, fields)


@functools.lru_cache(1000)
def _error_class(name: str) -> Any:
    return type(name, (Exception,), {})
