"""How the command line ends: with a message and a status, never a traceback for a user's mistake.

Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from ticktalk.errors import TTError


def run_guarded(app: typer.Typer) -> None:
    """Run a command line and exit with its status."""
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("ticktalk").setLevel(logging.INFO)
    try:
        app(prog_name="ticktalk")
    except TTError as error:
        print(error if error.placed else f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our results has ended; Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
