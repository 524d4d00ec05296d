"""Which ensemble hosts which SQ."""

from ticktalk.mapping.mapper import TTMapper

__all__ = ["TTMapper"]
