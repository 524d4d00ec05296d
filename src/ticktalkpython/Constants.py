"""Names and numbers the runtime agrees on."""

from ticktalk.engine.firing import EVICTION_BOUND
from ticktalk.manager.deployments import PROTOCOL
from ticktalk.processes import DEFAULT_RUNTIME_MANAGER_NAME

__all__ = ["DEFAULT_RUNTIME_MANAGER_NAME", "EVICTION_BOUND", "PROTOCOL"]
