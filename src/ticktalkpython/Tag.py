"""Tags: where a token belongs."""

from ticktalk.time import TTTag

__all__ = ["TTTag"]
