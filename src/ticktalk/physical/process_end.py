"""A process that has lost a thread it cannot do without ends: what watches it replaces it, or says so."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable

FLUSHES: list[Callable[[], object]] = []
"""Flush results that were written and may wait in a buffer: called before such an end, for at most a second."""


def or_end(serve: Callable[[], None], what: str) -> None:
    """Call `serve`; if it raises, say so and end the process with status 1.

    Without that, the process would live on and do nothing.

    Args:
        serve: what the thread does.
        what: the thread, for the message.
    """
    try:
        serve()
    except BaseException:
        try:
            print(f"{what} has ended by an error, so this process (pid {os.getpid()}) ends:", file=sys.stderr)
            traceback.print_exc()
            sys.stderr.flush()
            for flush in FLUSHES:
                thread = threading.Thread(target=flush, daemon=True)  # a reader may stand still
                thread.start()
                thread.join(1)
        finally:
            os._exit(1)
