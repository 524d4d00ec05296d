"""Ctrl-C: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

from ticktalk.cli.streams import say


def on_interrupt(stop: Callable[[], None]) -> None:
    """Call `stop()` at the first SIGINT or SIGTERM; end the process at the second."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        say("stopping; press Ctrl-C again to end at once")
        stop()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
