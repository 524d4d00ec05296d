"""The runtime manager."""

from ticktalk.manager import TTRuntimeManager, TTRuntimeManagerPhysical, TTRuntimeManagerSim
from ticktalk.processes import DEFAULT_RUNTIME_MANAGER_NAME, Message, TTRuntimeManagerProcess, logger

__all__ = [
    "DEFAULT_RUNTIME_MANAGER_NAME",
    "Message",
    "TTRuntimeManager",
    "TTRuntimeManagerPhysical",
    "TTRuntimeManagerProcess",
    "TTRuntimeManagerSim",
    "logger",
]
