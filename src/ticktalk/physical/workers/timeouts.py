"""Bodies with a `TTTimeout`: one that runs longer is ended with its worker process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from ticktalk.graph.sq import TTSQ
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.workers.channels import Channel, ProcessChannel
from ticktalk.physical.workers.worker_body import WorkerBody

logger = logging.getLogger("ticktalk")

LOOKS = 30
"""Looks at a worker process in a row that find something unread, before it counts as held up."""


class Timeouts:
    """Looks how long bodies run that said when they began; one timer for each body, however often it fires.

    Args:
        loop: keeps time.
        bodies: by number, those that are there.
        channels: by worker, the way to it.
    """

    def __init__(self, loop: Loop, bodies: Mapping[int, WorkerBody], channels: Mapping[str, Channel]) -> None:
        self._loop, self._bodies, self._channels = loop, bodies, channels

    def began(self, body: WorkerBody, begun: int) -> None:
        """The oldest firing of a body has begun, at a monotonic time (microseconds)."""
        body.began = begun
        if not body.limited:
            self._look(body)

    def _look(self, body: WorkerBody) -> None:
        """End a body that has taken all its time; look again later at one that has not."""
        channel = self._channels.get(body.worker)
        body.limited = False
        if body.began is None or self._bodies.get(body.ident) is not body or not isinstance(channel, ProcessChannel):
            return
        left = body.began + body.elsewhere.sq.timeout - monotonic_us()
        if left > 0:
            body.limited = True
            self._loop.after(left, partial(self._look, body))
        else:
            body.timed_out = True
            channel.end_at_once()

    def watch_reading(self, worker: str, limit: int, told: Callable[[bool], bool]) -> None:
        """Tell whether a worker process is held up: something was unread there each time in so many microseconds.

        One that reads has read everything at one look or another, however busy its host is. It is told then at once.
        As long as `told` gives True, it is told again.
        """
        self._see_reading(worker, self._channels.get(worker), limit, LOOKS, told)

    def _see_reading(
        self, worker: str, channel: Channel | None, limit: int, looks: int, told: Callable[[bool], bool]
    ) -> None:
        there = self._channels.get(worker)
        held_up = there is channel and isinstance(channel, ProcessChannel) and channel.unread
        if looks and held_up:
            self._loop.after(limit // LOOKS, partial(self._see_reading, worker, channel, limit, looks - 1, told))
        elif told(held_up):
            self._loop.after(limit, partial(self.watch_reading, worker, limit, told))

    def end_held_up(self, worker: str, limit: int) -> None:
        """A graph was stopped while a firing of it was under way: end its worker, if that holds it up."""

        def told(held_up: bool) -> bool:
            channel = self._channels.get(worker)
            if held_up and isinstance(channel, ProcessChannel):
                logger.warning("a firing of a stopped graph holds up its worker process (%s), which is ended", worker)
                channel.end_at_once()
            return False

        self.watch_reading(worker, limit, told)


def cannot_end(sq: TTSQ) -> str:
    """The reason that an SQ with a timeout cannot live where bodies run in threads."""
    return (
        f"{sq.name} has a TTTimeout, which ends a worker process, but bodies run in threads here: give --workers 1, and"
        " components as module:name, or leave TTTimeout out"
    )
