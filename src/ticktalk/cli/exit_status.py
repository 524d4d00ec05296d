"""The end of a command: a message and a status, never a traceback for a user's mistake.

Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Callable
from typing import Any

from ticktalk.cli.streams import StdoutGone, end_stderr, give_up_stdout, log_to_stderr, open_streams, say, say_lines
from ticktalk.errors import TTError, TTWarning
from ticktalk.printable import bounded

NAME = 300
"""Characters of a file's name that are shown."""


def run_guarded(command: Callable[[], object]) -> None:
    """Run a command and exit with its status."""
    open_streams()
    log_to_stderr()
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        try:
            command()
        finally:
            sys.stdout.flush()
    except TTError as error:
        say_lines(error if error.placed else f"error: {error}")
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        say(f"error: {bounded(str(error.filename), NAME)}: no file can have so long a name: give a shorter one")
        sys.exit(1)
    except StdoutGone as gone:
        if str(gone):
            say(gone)
        give_up_stdout()
        sys.exit(1)
    finally:
        end_stderr()


def _show_warning(message: Warning | str, category: type[Warning], *place: Any) -> None:
    """A warning about a program is its text; others are as Python shows them."""
    if issubclass(category, TTWarning):
        say_lines(message)
    else:
        _usual(message, category, *place)


_usual = warnings.showwarning
