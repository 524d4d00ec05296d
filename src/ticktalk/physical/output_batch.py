"""Outputs on their way to the manager: a lone one goes at once, those that follow closely go together.

A frame of its own for each would wake three threads and be sealed, opened and decoded by itself, a thousand times a
second for a stream of 1 kHz.
"""

from __future__ import annotations

from collections.abc import Callable

from ticktalk.payloads import OutputToken

HELD = 10_000
"""Microseconds for which an output waits at most for others."""

NEARLY = HELD // 4
"""Microseconds of that time which a lone one does not wait for: a timer costs more than a frame."""

MOST = 256
"""Outputs that go together at most."""

MOST_BYTES = 1 << 16
"""Bytes of values from which on nothing waits."""


class OutputBatch:
    """The outputs of one ensemble that wait to be sent.

    Args:
        now: the present time (microseconds of any clock that does not go back).
        after: `(microseconds, call)`: calls `call()` so much later.
        send: sends outputs, in order.
    """

    def __init__(
        self,
        now: Callable[[], int],
        after: Callable[[int, Callable[[], None]], None],
        send: Callable[[list[OutputToken]], None],
    ) -> None:
        self._now, self._after, self._send = now, after, send
        self._waits: list[OutputToken] = []
        self._bytes = 0
        self._sent_at = -HELD
        self._planned = False

    def add(self, token: OutputToken, size: int) -> None:
        """Send one now or soon; its value has so many bytes."""
        self._waits.append(token)
        self._bytes += size
        if len(self._waits) >= MOST or self._bytes >= MOST_BYTES:
            self.flush()
        elif not self._planned:
            left = self._sent_at + HELD - self._now()
            if left <= NEARLY:
                self.flush()
            else:
                self._plan(left)

    def _plan(self, microseconds: int) -> None:
        self._planned = True
        self._after(microseconds, self._due)

    def _due(self) -> None:
        self._planned = False
        if self._waits:
            self.flush()
            self._plan(HELD)  # here, as setting a timer in another thread would wake the timekeeper for it alone

    def flush(self) -> None:
        """Send what waits."""
        if self._waits:
            waits, self._waits, self._bytes = self._waits, [], 0
            self._sent_at = self._now()
            self._send(waits)
