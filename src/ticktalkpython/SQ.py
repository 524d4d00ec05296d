"""The decorators, and the SQ."""

from ticktalk import TTSQ, GRAPHify, SQify, STREAMify, sq_state

__all__ = ["TTSQ", "GRAPHify", "SQify", "STREAMify", "sq_state"]
