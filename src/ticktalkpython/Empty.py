"""What a body returns to send nothing."""

from ticktalk.time import TTEmpty

__all__ = ["TTEmpty"]
