"""The process of bodies."""

from ticktalk.processes import TTExecuteProcess

__all__ = ["TTExecuteProcess"]
