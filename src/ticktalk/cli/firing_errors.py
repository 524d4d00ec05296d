"""The errors of firings on stderr: a line for each error, its way through the program once, repeats as a count."""

from __future__ import annotations

import re
from collections import Counter

from ticktalk.cli.streams import say, say_lines
from ticktalk.durations import interval_and_ticks
from ticktalk.payloads import FiringError
from ticktalk.printable import line

KEPT = 1_000
"""Errors that are known again; further ones are told each time."""

_FRAME = re.compile(r'^([ |+]*)File "(.*)", line (\d+)', re.MULTILINE)


class FiringErrors:
    """Tells the errors of one run."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], FiringError] = {}  # by place and exception
        self._repeats: Counter[tuple[str, str]] = Counter()
        self._ways: set[str] = set()

    def add(self, error: FiringError) -> None:
        """Tell an error; one that was told already is counted."""
        place = f"{error.file}:{error.line}: SQ {error.sq} on {error.ensemble}"
        key = (place, error.exception)
        if key in self._last:
            self._last[key] = error
            self._repeats[key] += 1
            return
        if len(self._last) < KEPT:
            self._last[key] = error
        say(error)
        way = _way(error.traceback)
        if way and way not in self._ways:
            if len(self._ways) < KEPT:
                self._ways.add(way)
            say_lines(way)

    def tell_repeats(self) -> None:
        """Tell how often errors came again."""
        for (place, exception), count in self._repeats.items():
            last = self._last[place, exception]
            interval = interval_and_ticks(last.start, last.stop)
            say(line(f"{place}: {count} more, the last in interval {interval}: {exception}"))


def _way(traceback: str) -> str:
    """The calls that led to an error, as `helper.py:2, in divide`; nothing if the error's own line says it all."""
    frames = list(_FRAME.finditer(traceback))
    if len(frames) <= 2:  # where the SQ is used, and the line of its body
        return ""
    lines = traceback.splitlines()
    end = traceback.count("\n", 0, frames[-1].start()) + 1
    while end < len(lines) and lines[end].startswith("    "):
        end += 1
    return _FRAME.sub(r"\1\2:\3", "\n".join(line for line in lines[:end] if not line.startswith("Traceback")))
