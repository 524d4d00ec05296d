"""Deadlines, plan Bs and single runs."""

from ticktalk import TTDeadline, TTFinishByOtherwise, TTPlanB, TTSingleRunTimeout

__all__ = ["TTDeadline", "TTFinishByOtherwise", "TTPlanB", "TTSingleRunTimeout"]
