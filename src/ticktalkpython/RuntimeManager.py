"""The runtime manager."""

from ticktalk.processes import DEFAULT_RUNTIME_MANAGER_NAME, Message, TTRuntimeManagerProcess, logger
from ticktalk.runtime_manager import TTRuntimeManager, TTRuntimeManagerPhysical, TTRuntimeManagerSim

__all__ = [
    "DEFAULT_RUNTIME_MANAGER_NAME",
    "Message",
    "TTRuntimeManager",
    "TTRuntimeManagerPhysical",
    "TTRuntimeManagerProcess",
    "TTRuntimeManagerSim",
    "logger",
]
