"""The hosts that are allowed."""

from ticktalk import TTConstraint, TTQuery

__all__ = ["TTConstraint", "TTQuery"]
