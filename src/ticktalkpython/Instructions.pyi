"""The instructions, callable by name."""

from ticktalk.instruction_types import *  # noqa: F403
