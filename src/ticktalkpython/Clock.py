"""Clocks."""

from ticktalk.time import TTClock

__all__ = ["TTClock"]
