"""The hosts that are allowed."""

from ticktalk.language.decorators import TTConstraint, TTQuery

__all__ = ["TTConstraint", "TTQuery"]
