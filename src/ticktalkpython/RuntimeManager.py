"""The runtime manager."""

from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.messages import Message
from ticktalk.processes import TTRuntimeManagerProcess, logger
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
