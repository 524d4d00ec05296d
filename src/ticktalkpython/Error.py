"""A mistake that the user can mend."""

from ticktalk.errors import TTError, TTGraphError, TTInputError, TTMappingError, TTRuntimeError, TTSyntaxError

__all__ = ["TTError", "TTGraphError", "TTInputError", "TTMappingError", "TTRuntimeError", "TTSyntaxError"]
