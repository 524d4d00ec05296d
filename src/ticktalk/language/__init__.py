"""From program to graph: the decorators a program is written with, and the compiler that reads it."""

from typing import TYPE_CHECKING, Any

from ticktalk.errors import (
    Problem,
    TTError,
    TTGraphError,
    TTInputError,
    TTMappingError,
    TTRuntimeError,
    TTSyntaxError,
)
from ticktalk.language.decorators import (
    GRAPHify,
    SQify,
    STREAMify,
    TTConstraint,
    TTDeadline,
    TTFinishByOtherwise,
    TTPlanB,
    TTQuery,
    TTSingleRunTimeout,
)

if TYPE_CHECKING:
    from ticktalk.language.compiler import compile_program, compile_source

    TTCompile = compile_program

__all__ = [
    "GRAPHify",
    "Problem",
    "SQify",
    "STREAMify",
    "TTCompile",
    "TTConstraint",
    "TTDeadline",
    "TTError",
    "TTFinishByOtherwise",
    "TTGraphError",
    "TTInputError",
    "TTMappingError",
    "TTPlanB",
    "TTQuery",
    "TTRuntimeError",
    "TTSingleRunTimeout",
    "TTSyntaxError",
    "compile_program",
    "compile_source",
]


def __getattr__(name: str) -> Any:
    # The graph's data model, which the compiler makes, uses this package's errors: the compiler comes later. An
    # ensemble that only runs bodies never loads it.
    if name in ("compile_program", "compile_source", "TTCompile"):
        from ticktalk.language import compiler

        return getattr(compiler, "compile_program" if name == "TTCompile" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
