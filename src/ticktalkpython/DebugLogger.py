"""The logger of the runtime."""

from ticktalk.processes import logger

__all__ = ["logger"]
