"""What programs import, as editors and type checkers see it; nothing of this is run.

Python has no way to add keyword parameters to those of a function. So each decorated function has a variant with its
own parameters, and one for each setting that a call may give; there, its own parameters are not checked. Both are
needed: a variant in which all settings may be left out would let any call pass.

`tests/language/test_typed.py` compares this with what is there at run time.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from ticktalk.time import TTClock as Clock
from ticktalk.time import TTEmpty, TTToken

_P = ParamSpec("_P")
_R = TypeVar("_R")
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_R_co = TypeVar("_R_co", covariant=True)

Ticks = float | Fraction
Handler = Callable[..., Any]
Names = str | Sequence[str]

class Arc(Any, Generic[_R_co]):  # type: ignore[misc]
    """What the call of a stream gives: its data, or `tag, data`. It fits everywhere; the compiler checks arcs.

    `Arc | Any` is a type to which everything can be assigned, as a name can be bound again.
    """

    def __iter__(self) -> Iterator[Arc[_R_co] | Any]: ...

class Body(Protocol[_P, _R_co]):
    """A decorated function: outside a graph it is the plain function, and has its own `sq_state`."""

    sq_state: dict[str, Any]
    __name__: str

class SQ(Body[_P, _R_co], Protocol[_P, _R_co]):
    @overload
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...
    @overload
    def __call__(
        self, *args: Any, TTName: str, TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ...,
        **keywords: Any,
    ) -> _R_co: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTPersistent: bool, TTName: str = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ...,
        **keywords: Any,
    ) -> _R_co: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTUnmatched: Handler, TTName: str = ..., TTPersistent: bool = ..., TTTimeout: Ticks = ...,
        **keywords: Any,
    ) -> _R_co: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTTimeout: Ticks, TTName: str = ..., TTPersistent: bool = ..., TTUnmatched: Handler = ...,
        **keywords: Any,
    ) -> _R_co: ...  # fmt: skip

class Stream(Body[_P, _R_co], Protocol[_P, _R_co]):
    @overload
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> Arc[_R_co] | Any: ...
    @overload
    def __call__(
        self, *args: Any, TTPeriod: Ticks, TTPhase: Ticks = ..., TTClock: Clock = ...,
        TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTPhase: Ticks, TTPeriod: Ticks = ..., TTClock: Clock = ...,
        TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTClock: Clock, TTPeriod: Ticks = ..., TTPhase: Ticks = ...,
        TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTDataIntervalWidth: Ticks, TTPeriod: Ticks = ..., TTPhase: Ticks = ...,
        TTClock: Clock = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTDataValidityInterval: Ticks, TTPeriod: Ticks = ..., TTPhase: Ticks = ...,
        TTClock: Clock = ..., TTDataIntervalWidth: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTFirstInstanceDelay: Ticks, TTPeriod: Ticks = ..., TTPhase: Ticks = ...,
        TTClock: Clock = ..., TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTStamp: Literal["instant", "body"], TTPeriod: Ticks = ..., TTPhase: Ticks = ...,
        TTClock: Clock = ..., TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ...,
        TTFirstInstanceDelay: Ticks = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTMissed: Literal["skip", "catch-up"], TTPeriod: Ticks = ..., TTPhase: Ticks = ...,
        TTClock: Clock = ..., TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ...,
        TTFirstInstanceDelay: Ticks = ..., TTStamp: Literal["instant", "body"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTName: str, TTPeriod: Ticks = ..., TTPhase: Ticks = ..., TTClock: Clock = ...,
        TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTPersistent: bool, TTPeriod: Ticks = ..., TTPhase: Ticks = ..., TTClock: Clock = ...,
        TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTUnmatched: Handler = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTUnmatched: Handler, TTPeriod: Ticks = ..., TTPhase: Ticks = ..., TTClock: Clock = ...,
        TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTTimeout: Ticks = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip
    @overload
    def __call__(
        self, *args: Any, TTTimeout: Ticks, TTPeriod: Ticks = ..., TTPhase: Ticks = ..., TTClock: Clock = ...,
        TTDataIntervalWidth: Ticks = ..., TTDataValidityInterval: Ticks = ..., TTFirstInstanceDelay: Ticks = ...,
        TTStamp: Literal["instant", "body"] = ..., TTMissed: Literal["skip", "catch-up"] = ..., TTName: str = ...,
        TTPersistent: bool = ..., TTUnmatched: Handler = ..., **keywords: Any,
    ) -> Arc[_R_co] | Any: ...  # fmt: skip

class Graph(Protocol[_P, _R_co]):
    @overload
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...
    @overload
    def __call__(self, *args: Any, TTName: str, **keywords: Any) -> _R_co: ...

# A function from tokens to a token (`TTExecuteOnFullToken=True`) is called in a graph with the values in them.
@overload
def SQify(function: Callable[Concatenate[TTToken, _P], TTToken | TTEmpty]) -> SQ[..., Arc[Any] | Any]: ...
@overload
def SQify(function: Callable[_P, _R | TTEmpty]) -> SQ[_P, _R]: ...
@overload
def STREAMify(function: Callable[Concatenate[TTToken, _P], TTToken | TTEmpty]) -> Stream[..., Any]: ...
@overload
def STREAMify(function: Callable[_P, _R | TTEmpty]) -> Stream[_P, _R]: ...
def GRAPHify(function: Callable[_P, _R]) -> Graph[_P, _R]: ...

sq_state: dict[str, Any]

class _Block:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

class TTConstraint(_Block):
    def __init__(self, name: Names = ..., components: Names = ...) -> None: ...

class TTQuery(TTConstraint): ...

class TTPlanB(_Block):
    def __init__(self, plan_b: object) -> None: ...

class TTDeadline(_Block):
    def __init__(self, TTClock: Clock, deadline: Ticks) -> None: ...

@overload
def TTFinishByOtherwise(
    data: _R, TTTimeDeadline: Ticks, *, TTWillContinue: bool = ..., TTClock: Clock = ..., TTName: str = ...,
    TTPersistent: bool = ..., TTUnmatched: Handler = ...,
) -> _R: ...  # fmt: skip
@overload
def TTFinishByOtherwise(
    data: _R, TTTimeDeadline: Ticks, TTPlanB: Callable[..., _B], TTWillContinue: bool = ..., *, TTClock: Clock = ...,
    TTName: str = ..., TTPersistent: bool = ..., TTUnmatched: Handler = ...,
) -> _R | _B: ...  # fmt: skip
@overload
def TTFinishByOtherwise(
    data: _R, TTTimeDeadline: Ticks, TTPlanB: _B, TTWillContinue: bool = ..., *, TTClock: Clock = ...,
    TTName: str = ..., TTPersistent: bool = ..., TTUnmatched: Handler = ...,
) -> _R | _B: ...  # fmt: skip
def TTSingleRunTimeout(call: _R, TTTimeout: Ticks, *, TTClock: Clock = ...) -> _R: ...
def TTUnmatched(
    result: object, handler: Callable[..., _R], *, TTName: str = ..., TTPersistent: bool = ...
) -> _R: ...  # fmt: skip
