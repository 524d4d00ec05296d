"""The memory of the dashboard: the latest looks at a system, and the latest outputs; sans-I/O and bounded."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from ticktalk.payloads import OutputToken
from ticktalk.time import INFINITY, NEG_INFINITY

LOOKS = 2_000
"""Looks that are remembered."""

LOOKS_LENGTH = 32 << 20
"""Characters of all of them."""

POINTS = 300
"""Outputs of an SQ that are remembered."""

ROWS = 200
"""SQs whose outputs are remembered, the latest."""

LONGEST = 400
"""Characters of a value that are shown."""


class Looks:
    """Looks at a system as JSON texts, each with its number; the oldest go."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, int, str]] = deque()
        self._length = 0
        self._number = 0

    def add(self, now: int, look: dict[str, Any]) -> int:
        """Take one that was taken at a root tick; its number."""
        self._number += 1
        text = json.dumps({**look, "number": self._number, "now": now})
        self._looks.append((self._number, now, text))
        self._length += len(text)
        while len(self._looks) > LOOKS or (self._length > LOOKS_LENGTH and len(self._looks) > 1):
            self._length -= len(self._looks.popleft()[2])
        return self._number

    @property
    def newest(self) -> tuple[int, str]:
        """The number of the latest look, and its text; 0: there is none."""
        number, _, text = self._looks[-1] if self._looks else (0, 0, "")
        return number, text

    def span(self) -> list[tuple[int, int]]:
        """The number and the root tick of each look."""
        return [(number, now) for number, now, _ in list(self._looks)]  # another thread may add one

    def text(self, number: int) -> str | None:
        """The look of a number; None: it is gone, or never was."""
        return next((text for each, _, text in list(self._looks) if each == number), None)


class Streams:
    """The latest outputs of each SQ: root tick, number (None: the value is none), text."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], deque[tuple[float, float | None, str]]] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self._gone = 0

    def add(self, token: OutputToken) -> None:
        """Take an output, whose value was rendered already (`shown`), or not."""
        place = token.graph, token.sq
        row = self._rows.pop(place, None)
        if row is None:
            row = deque(maxlen=POINTS)
            while len(self._rows) >= ROWS:
                gone = next(iter(self._rows))
                del self._rows[gone]
                self._gone = max(self._gone, self.counts.pop(gone))
        self._rows[place] = row  # the last to go
        # An SQ that comes again counts on from above what any page knows of it.
        self.counts[place] = self.counts.get(place, self._gone) + 1
        shown = token.shown or token.line()
        row.append((_plot_time(token), *_shown(shown if len(shown) < 10 * LONGEST else shown[:LONGEST])))

    def since(self, known: dict[str, int]) -> dict[str, Any]:
        """The new outputs, by `GRAPH/SQ`: the number of its outputs, and the points after those that are known."""
        found = {}
        for (graph, sq), row in list(self._rows.items()):
            name = f"{graph}/{sq}"
            count = self.counts.get((graph, sq), 0)
            new = min(count - known.get(name, 0), len(row))
            if new > 0:
                found[name] = {"count": count, "points": list(row)[-new:]}
        return found


def _plot_time(token: OutputToken) -> float:
    """The time at which a page plots a token: the middle of its interval; without both ends, its arrival."""
    if token.start == NEG_INFINITY or token.stop == INFINITY:
        return token.arrival
    return (token.start + token.stop) / 2


def _shown(field: str) -> tuple[float | None, str]:
    """A value's field of a JSON object, as a number, if it is one, and as text."""
    try:
        found = json.loads("{" + field + "}") if not field.startswith("{") else json.loads(field)
        value = found["value"] if "value" in found else found["repr"]
    except (ValueError, KeyError, RecursionError):
        return None, field[:LONGEST]
    number = float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return number, text[:LONGEST]
