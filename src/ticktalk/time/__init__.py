"""Clocks, time-intervals, tokens and their tags."""

from ticktalk.time.clock import ROOT, Tick, TTClock
from ticktalk.time.interval import INFINITY, NEG_INFINITY, TTTime
from ticktalk.time.token import TTEmpty, TTTag, TTToken

__all__ = ["INFINITY", "NEG_INFINITY", "ROOT", "TTClock", "TTEmpty", "TTTag", "TTTime", "TTToken", "Tick"]
