"""Tokens."""

from ticktalk.time import TTToken

__all__ = ["TTToken"]
