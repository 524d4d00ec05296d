"""The result of a body that sends nothing."""

from ticktalk.time import TTEmpty

__all__ = ["TTEmpty"]
