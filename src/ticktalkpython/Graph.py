"""The compiled program."""

from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTArc, TTPort

__all__ = ["TTArc", "TTGraph", "TTPort"]
