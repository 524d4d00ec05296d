"""Time-intervals."""

from ticktalk.time import TTTime

__all__ = ["TTTime"]
