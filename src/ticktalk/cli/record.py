"""`--record FILE.mcap`: the file is opened before the run, and what it lacks is told at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ticktalk.cli.streams import say
from ticktalk.errors import TTError

if TYPE_CHECKING:
    from ticktalk.recording.mcap_file import RecordingWriter

SHOWN = 10
"""Sentences at most of what a recording lacks; the file has all."""


def recording_writer(path: Path) -> RecordingWriter:
    """Open a recording.

    Raises:
        TTError: it cannot be written, or its library is not installed.
    """
    try:
        from ticktalk.recording.mcap_file import RecordingWriter
    except ImportError:
        raise TTError("--record needs mcap: pip install 'ticktalk[record]'") from None
    return RecordingWriter(path)


def tell_lacks(path: Path, lacks: list[str]) -> None:
    """Say what a recording lacks, if anything."""
    if lacks:
        more = f"; and {len(lacks) - SHOWN} more" if len(lacks) > SHOWN else ""
        say(f"{path}: the recording is incomplete. It lacks: {'; '.join(lacks[:SHOWN])}{more}")
