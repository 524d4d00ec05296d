"""`--record FILE.mcap`: the file is opened before the run, and what it lacks is told at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ticktalk.cli.streams import say
from ticktalk.errors import TTError

if TYPE_CHECKING:
    from ticktalk.recording.mcap_file import RecordingWriter
    from ticktalk.runtime_manager import TTRuntimeManagerPhysical

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


class Recorded:
    """The recording of a manager on devices, in a file.

    Args:
        path: of the file.
        manager: whose contexts are recorded from now on.
        options: what was asked for, by option.

    Raises:
        TTError: the file cannot be written.
    """

    def __init__(self, path: Path, manager: TTRuntimeManagerPhysical, options: dict[str, str]) -> None:
        writer = recording_writer(path)
        from ticktalk.recording.recorder import Recorder

        self._path = path
        self._recorder = Recorder(writer, {name: value for name, value in options.items() if value})
        self._finished = False
        manager.record(self._recorder)

    def finish(self) -> None:
        """End the file, and say what it lacks; the graphs have been stopped."""
        if not self._finished:
            self._finished = True
            tell_lacks(self._path, self._recorder.finish())


def tell_lacks(path: Path, lacks: list[str]) -> None:
    """Say what a recording lacks, if anything."""
    if lacks:
        more = f"; and {len(lacks) - SHOWN} more" if len(lacks) > SHOWN else ""
        say(f"{path}: the recording is incomplete. It lacks: {'; '.join(lacks[:SHOWN])}{more}")
