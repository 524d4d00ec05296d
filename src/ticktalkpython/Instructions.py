"""The instructions, callable by name."""

from ticktalk.language.instructions import *  # noqa: F403
from ticktalk.language.instructions import __all__  # noqa: F401
