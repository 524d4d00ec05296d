"""The execute part of an SQ: its body."""

from ticktalk.engine.execution import TTSQExecute

__all__ = ["TTSQExecute"]
