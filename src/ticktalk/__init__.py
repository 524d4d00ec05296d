"""TickTalk: timed dataflow programs in Python that run across many devices, simulated or real."""

from importlib import import_module
from typing import Any

# Where each public name lives. They are loaded at first use. So a worker process on a small device need not load the
# compiler, the simulator and the network.
_PLACES = {
    "ticktalk.cli.explore_search": "explore",
    "ticktalk.cli.simulated_run": "Simulated simulate",
    "ticktalk.cli.sweep": "sweep",
    "ticktalk.durations": "Hz ms s us",
    "ticktalk.engine.components": "component",
    "ticktalk.engine.this_firing": "Firing firing",
    "ticktalk.hosted.body_metrics": "metric",
    "ticktalk.output_log": "read_log",
    "ticktalk.payloads": "FiringError OutputToken",
    "ticktalk.values.codec": "register_codec",
    "ticktalk.ensemble": "TTEnsemble",
    "ticktalk.graph.graph": "TTGraph",
    "ticktalk.graph.sq": "TTSQ TTFiringRule",
    "ticktalk.language.compiler": "TTCompile compile_program",
    "ticktalk.language.decorators": (
        "GRAPHify SQify STREAMify TTConstraint TTDeadline TTFinishByOtherwise TTPlanB TTQuery TTSingleRunTimeout"
        " TTUnmatched sq_state"
    ),
    "ticktalk.errors": "TTError TTGraphError TTInputError TTMappingError TTRuntimeError TTSyntaxError",
    "ticktalk.runtime_manager": "TTRuntimeManager TTRuntimeManagerPhysical TTRuntimeManagerSim",
    "ticktalk.mapping.mapper": "TTMapper",
    "ticktalk.messages": "Message RuntimeMsg",
    "ticktalk.time": "TTClock TTEmpty TTTag TTTime TTToken",
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    found: Any
    if name == "__all__":
        found = sorted([*_PLACE_OF, *import_module("ticktalk.instructions").__all__])
    else:
        place = _PLACE_OF.get(name, "ticktalk.instructions" if name.isupper() else None)
        if place is None or not hasattr(import_module(place), name):
            raise AttributeError(f"module 'ticktalk' has no attribute {name!r}")
        found = getattr(import_module(place), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    names: list[str] = __getattr__("__all__")
    return names
