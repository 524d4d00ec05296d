"""The takers of records: a file, a collector of telemetry, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ticktalk.recording.setup import Setup
from ticktalk.records import Records, TookOver

SHOWN = 10
"""Sentences at most of what is missing that are told; a file has all."""


class Writer(Protocol):
    """Takes what is recorded, in one thread at a time."""

    def begin(self, setup: Setup) -> None:
        """A context starts."""

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""

    def add(self, batch: Records) -> None:
        """Take records of one ensemble that follow those before.

        Raises:
            Exception: they cannot be.
        """

    def flush(self) -> None:
        """Let what was taken reach its place."""

    def finish(self, *lacks: str) -> list[str]:
        """End; `lacks`: what is known to be missing. Gives all that is missing, as sentences."""


def lacks_text(lacks: Sequence[str]) -> str:
    """The first sentences of what is missing, and how many more there are."""
    more = f"; and {len(lacks) - SHOWN} more" if len(lacks) > SHOWN else ""
    return "; ".join(lacks[:SHOWN]) + more


class Several:
    """Hands everything on to several writers."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = writers

    def begin(self, setup: Setup) -> None:
        """A context starts."""
        for writer in self._writers:
            writer.begin(setup)

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""
        for writer in self._writers:
            writer.took_over(note)

    def add(self, batch: Records) -> None:
        """Take records."""
        for writer in self._writers:
            writer.add(batch)

    def flush(self) -> None:
        """Let what was taken reach its place."""
        for writer in self._writers:
            writer.flush()

    def finish(self, *lacks: str) -> list[str]:
        """End; gives all that is missing."""
        return [lack for writer in self._writers for lack in writer.finish(*lacks)]
