"""The documented firing rules: labels for combinations of port, trigger and order."""

from ticktalk.graph.sq import TTFiringRule

__all__ = ["TTFiringRule"]
