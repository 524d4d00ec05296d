"""A device that takes part."""

from ticktalk.ensemble import TTEnsemble

__all__ = ["TTEnsemble"]
