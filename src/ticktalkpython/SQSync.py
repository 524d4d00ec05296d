"""The sync part of an SQ: its ports and firing rule."""

from ticktalk.engine.firing.base import TTSQSync

__all__ = ["TTSQSync"]
