"""TickTalk: timed dataflow programs in Python that run across many devices, simulated or real."""

from ticktalk.engine.components import component
from ticktalk.engine.values import register_codec
from ticktalk.ensemble import TTEnsemble
from ticktalk.graph.graph import TTGraph
from ticktalk.manager import TTRuntimeManager, TTRuntimeManagerSim
from ticktalk.time import TTClock, TTEmpty, TTTag, TTTime, TTToken

__all__ = [
    "TTClock",
    "TTEmpty",
    "TTEnsemble",
    "TTGraph",
    "TTRuntimeManager",
    "TTRuntimeManagerSim",
    "TTTag",
    "TTTime",
    "TTToken",
    "component",
    "register_codec",
]
