"""The instructions, callable by name."""

from ticktalk.instructions import *  # noqa: F403
from ticktalk.instructions import __all__ as __all__
