"""What an ensemble has."""

from ticktalk.engine.components import component

__all__ = ["component"]
