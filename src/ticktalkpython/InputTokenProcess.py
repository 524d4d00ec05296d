"""The process of ports and firing rules."""

from ticktalk.processes import TTInputTokenProcess

__all__ = ["TTInputTokenProcess"]
