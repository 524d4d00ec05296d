"""TickTalk: timed dataflow programs in Python that run across many devices, simulated or real."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticktalk.cli.simulated import Simulated, simulate
    from ticktalk.cli.sweep import sweep
    from ticktalk.durations import Hz, ms, s, us
    from ticktalk.engine.components import component
    from ticktalk.engine.this_firing import Firing, firing
    from ticktalk.ensemble import TTEnsemble
    from ticktalk.errors import (
        TTError,
        TTGraphError,
        TTInputError,
        TTMappingError,
        TTRuntimeError,
        TTSyntaxError,
    )
    from ticktalk.graph.graph import TTGraph
    from ticktalk.graph.sq import TTSQ, TTFiringRule
    from ticktalk.language.compiler import TTCompile, compile_program
    from ticktalk.mapping.mapper import TTMapper
    from ticktalk.messages import Message, RuntimeMsg
    from ticktalk.output_log import read_log
    from ticktalk.payloads import FiringError, OutputToken
    from ticktalk.runtime_manager import TTRuntimeManager, TTRuntimeManagerPhysical, TTRuntimeManagerSim
    from ticktalk.time import TTClock, TTEmpty, TTTag, TTTime, TTToken
    from ticktalk.typed import (
        ABS,
        ADD,
        ADD_TIME_DELAY,
        CONST,
        COPY_TTTIME,
        DIV,
        EQ,
        GET_INFINITY,
        GET_NEG_INFINITY,
        GT,
        GTE,
        LT,
        LTE,
        MAX,
        MERGE,
        MIN,
        MULT,
        NEG,
        NEQ,
        NOT,
        READ_TTCLOCK,
        RESAMPLE,
        SET_TIMEOUT,
        SQRT,
        SUB,
        SYSLOG,
        TIME_TOKEN,
        TTTIME_TO_VALUES,
        TUPLE_2,
        TUPLE_3,
        VALUES_TO_TTTIME,
        GRAPHify,
        SQify,
        STREAMify,
        TTConstraint,
        TTDeadline,
        TTFinishByOtherwise,
        TTPlanB,
        TTQuery,
        TTSingleRunTimeout,
        sq_state,
    )
    from ticktalk.values.codec import register_codec

# Where each public name lives. They are loaded at first use. So a worker process on a small device need not load the
# compiler, the simulator and the network.
_PLACES = {
    "ticktalk.cli.simulated": "Simulated simulate",
    "ticktalk.cli.sweep": "sweep",
    "ticktalk.durations": "Hz ms s us",
    "ticktalk.engine.components": "component",
    "ticktalk.engine.this_firing": "Firing firing",
    "ticktalk.output_log": "read_log",
    "ticktalk.payloads": "FiringError OutputToken",
    "ticktalk.values.codec": "register_codec",
    "ticktalk.ensemble": "TTEnsemble",
    "ticktalk.graph.graph": "TTGraph",
    "ticktalk.graph.sq": "TTSQ TTFiringRule",
    "ticktalk.language.compiler": "TTCompile compile_program",
    "ticktalk.language.decorators": (
        "GRAPHify SQify STREAMify TTConstraint TTDeadline TTFinishByOtherwise TTPlanB TTQuery TTSingleRunTimeout"
        " sq_state"
    ),
    "ticktalk.errors": "TTError TTGraphError TTInputError TTMappingError TTRuntimeError TTSyntaxError",
    "ticktalk.runtime_manager": "TTRuntimeManager TTRuntimeManagerPhysical TTRuntimeManagerSim",
    "ticktalk.mapping.mapper": "TTMapper",
    "ticktalk.messages": "Message RuntimeMsg",
    "ticktalk.time": "TTClock TTEmpty TTTag TTTime TTToken",
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}

__all__ = [
    "ABS",
    "ADD",
    "ADD_TIME_DELAY",
    "CONST",
    "COPY_TTTIME",
    "DIV",
    "EQ",
    "GET_INFINITY",
    "GET_NEG_INFINITY",
    "GT",
    "GTE",
    "LT",
    "LTE",
    "MAX",
    "MERGE",
    "MIN",
    "MULT",
    "NEG",
    "NEQ",
    "NOT",
    "READ_TTCLOCK",
    "RESAMPLE",
    "SET_TIMEOUT",
    "SQRT",
    "SUB",
    "SYSLOG",
    "TIME_TOKEN",
    "TTSQ",
    "TTTIME_TO_VALUES",
    "TUPLE_2",
    "TUPLE_3",
    "VALUES_TO_TTTIME",
    "Firing",
    "FiringError",
    "GRAPHify",
    "Hz",
    "Message",
    "OutputToken",
    "RuntimeMsg",
    "SQify",
    "STREAMify",
    "Simulated",
    "TTClock",
    "TTCompile",
    "TTConstraint",
    "TTDeadline",
    "TTEmpty",
    "TTEnsemble",
    "TTError",
    "TTFinishByOtherwise",
    "TTFiringRule",
    "TTGraph",
    "TTGraphError",
    "TTInputError",
    "TTMapper",
    "TTMappingError",
    "TTPlanB",
    "TTQuery",
    "TTRuntimeError",
    "TTRuntimeManager",
    "TTRuntimeManagerPhysical",
    "TTRuntimeManagerSim",
    "TTSingleRunTimeout",
    "TTSyntaxError",
    "TTTag",
    "TTTime",
    "TTToken",
    "compile_program",
    "component",
    "firing",
    "ms",
    "read_log",
    "register_codec",
    "s",
    "simulate",
    "sq_state",
    "sweep",
    "us",
]


def __getattr__(name: str) -> Any:
    place = _PLACE_OF.get(name)
    if place is None and name.isupper():
        place = "ticktalk.instructions"
    if place is None or not hasattr(import_module(place), name):
        raise AttributeError(f"module 'ticktalk' has no attribute {name!r}")
    found = getattr(import_module(place), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
