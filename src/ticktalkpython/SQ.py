"""The decorators, and the SQ."""

from ticktalk.graph.sq import TTSQ
from ticktalk.language.decorators import GRAPHify, SQify, STREAMify

__all__ = ["TTSQ", "GRAPHify", "SQify", "STREAMify"]
