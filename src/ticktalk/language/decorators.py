"""The decorators and constructs as importable names.

The compiler reads them in the program's text and never calls them. A program can be imported as plain Python, to
unit-test its functions. Then a decorated function is the plain function, and a construct raises an error that says why.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, NoReturn, TypeVar

from ticktalk.errors import TTError
from ticktalk.instructions import in_a_graph_only

_Function = TypeVar("_Function", bound=Callable[..., Any])

_swapping = threading.RLock()

_decorated: weakref.WeakSet[Any] = weakref.WeakSet()


def forget_states() -> None:
    """Empty the `sq_state` of every decorated function, as it is when its module has just been imported."""
    for function in _decorated:
        function.sq_state = {}


def SQify(function: _Function) -> _Function:
    """Make a function the body of an SQ.

    Called outside a graph it is the plain function. Its state `function.sq_state` is a dict of its own that lasts from
    call to call and can be replaced.
    """
    namespace = getattr(function, "__globals__", None)
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or not isinstance(namespace, dict) or not _names_state(code):
        function.sq_state = {}  # type: ignore[attr-defined]
        if isinstance(function, FunctionType):
            _decorated.add(function)
        return function

    @functools.wraps(function)
    def stateful(*arguments: Any, **keywords: Any) -> Any:
        # The body says `global sq_state`, so for the time of the call its module's name is bound to this
        # function's own dict. A function called meanwhile binds its own dict, then restores this one.
        with _swapping:
            missing = object()
            before = namespace.get("sq_state", missing)
            namespace["sq_state"] = stateful.sq_state  # type: ignore[attr-defined]
            try:
                return function(*arguments, **keywords)
            finally:
                if "sq_state" in namespace:
                    stateful.sq_state = namespace["sq_state"]  # type: ignore[attr-defined]
                if before is missing:
                    namespace.pop("sq_state", None)
                else:
                    namespace["sq_state"] = before

    stateful.sq_state = {}  # type: ignore[attr-defined]
    _decorated.add(stateful)
    return stateful  # type: ignore[return-value]


def STREAMify(function: _Function) -> _Function:
    """Make a function the body of a stream: it fires periodically. Called outside a graph: as `SQify`."""
    return SQify(function)


def GRAPHify(function: _Function) -> _Function:
    """Make a function the graph of a program. It is compiled, so calling it raises a `TTError`."""

    @functools.wraps(function)
    def graph(*arguments: Any, **keywords: Any) -> NoReturn:
        raise TTError(
            f"{getattr(function, '__name__', 'this')} is a graph, which is compiled and not called: run it with"
            " `ticktalk simulate PROGRAM`, or compile it with ticktalk.compile_program()"
        )

    return graph  # type: ignore[return-value]


DECORATORS = {"SQify": SQify, "STREAMify": STREAMify, "GRAPHify": GRAPHify}


def undecorated(value: Any) -> Any:
    """A function without the wrapper of a decorator of ours; any other value is itself."""
    code = getattr(value, "__code__", None)
    return getattr(value, "__wrapped__", value) if getattr(code, "co_filename", None) == __file__ else value


def _names_state(code: CodeType) -> bool:
    """True if the body, or a function nested in it, uses `sq_state`."""
    return "sq_state" in code.co_names or any(
        _names_state(constant) for constant in code.co_consts if isinstance(constant, CodeType)
    )


TTFinishByOtherwise = in_a_graph_only("TTFinishByOtherwise", "A deadline with a plan B: in a graph only.")
TTSingleRunTimeout = in_a_graph_only("TTSingleRunTimeout", "At most one firing in flight: in a graph only.")
TTUnmatched = in_a_graph_only("TTUnmatched", "A handler of unused tokens, and its result: in a graph only.")
TTConstraint = in_a_graph_only("TTConstraint", "Hosts allowed for the SQs in a `with` block: in a graph only.")
TTQuery = in_a_graph_only("TTQuery", "Another name of `TTConstraint`: in a graph only.")
TTPlanB = in_a_graph_only("TTPlanB", "The call that fires when a `TTDeadline` is missed: in a graph only.")
TTDeadline = in_a_graph_only("TTDeadline", "A deadline for the calls in a `with` block: in a graph only.")


class _State:
    """Stands for `sq_state` where no SQ's own is bound: `from ticktalk import sq_state` gives the name a type."""

    _why = "`sq_state` is the state of an SQ: use it under this name, in the body of a @SQify or @STREAMify function"

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(self._why)

    def _refuse(self, *arguments: object) -> NoReturn:
        raise TTError(self._why)

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = _refuse


sq_state = _State()
