"""Names and numbers the runtime agrees on."""

from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME, EVICTION_BOUND, PROTOCOL

__all__ = ["DEFAULT_RUNTIME_MANAGER_NAME", "EVICTION_BOUND", "PROTOCOL"]
