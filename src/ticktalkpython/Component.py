"""A component of an ensemble."""

from ticktalk.engine.components import component

__all__ = ["component"]
