"""The receivers of this ensemble's tokens: which of them keep up, and the seals for them.

A receiver tells each sender now and then the number of the last frame that it has taken (`Receipts`). One that has not
taken much for long stands still. Tokens are then published for each of the others by itself, on a key of its own, so
that nothing is sent to the one that stands still. The tokens that it misses are counted here. A small frame asks it
from time to time, on the way that tokens go. Its answer says that it has taken, or lost, all before: it gets tokens
again.

The timekeeper owns all of it; only `Sealing` and `Receivers.sent` are called by the thread that sends.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ticktalk.messages import NetMsg, message
from ticktalk.network_interface import TTNetworkInterface
from ticktalk.network_keys import NOBODY, apart_key, arc_key
from ticktalk.payloads import Taken
from ticktalk.physical.network.token_frames import Parcel, apart_frame, token_frame
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import Known
from ticktalk.physical.trust.shared_keys import Keys
from ticktalk.physical.trust.token_seals import seal_tokens
from ticktalk.values.codec import Data

logger = logging.getLogger("ticktalk")

STEP = 1 << 16
"""Bytes sent to a receiver between two marks."""

MUCH = 64
"""Marks, 4 MB, that a receiver may leave open for long."""

PATIENCE = 1_500_000
"""Microseconds of that: also a busy receiver takes tokens in this time."""

ASK_AGAIN = 300_000
"""Microseconds between two questions to a receiver that stands still."""

NO_ARC = ("", "/0")
"""Graph and arc of such a question: there is no such arc, and every ensemble takes frames of it."""

TOLD = 1 << 20
"""Bytes that a receiver takes from a sender before it tells so."""


class _Receiver:
    """One receiver, with the frames that it has still to take; the thread that sends adds to them.

    Attributes:
        marks: the number of a frame for each `STEP` bytes that it has not taken, and when that was sent.
        since: bytes that were sent to it since the last mark.
        stands_still: it is left out.
        left_out: tokens that it was not sent since it stands still.
    """

    __slots__ = ("left_out", "marks", "name", "since", "stands_still")

    def __init__(self, name: str) -> None:
        self.name = name
        self.since = 0
        self.marks: deque[tuple[int, int]] = deque()
        self.stands_still = False
        self.left_out = 0

    def took(self, number: int) -> None:
        """It has taken, or lost, all up to a frame."""
        while self.marks and self.marks[0][0] <= number:
            self.marks.popleft()


class TokenWay(NamedTuple):
    """The way of an arc's tokens, or of the tokens of several arcs that go together.

    Attributes:
        ensembles: their receivers, as the context has them.
        sq: their sender.
        each: a key, its seal and its receivers: one for all, or one for each receiver while one stands still.
        left_out: receivers that stand still.
    """

    ensembles: Sequence[str]
    sq: str
    each: Sequence[tuple[str, Sealing, Sequence[str]]]
    left_out: Sequence[_Receiver]


class Receivers:
    """The receivers of one ensemble's tokens.

    Args:
        link: the ensemble's end of the network.
        loop: keeps its time.
        guard: seals tokens.
        changed: called when tokens have to go another way from now on.

    Attributes:
        receipts: tells others what this ensemble has taken.
    """

    def __init__(self, link: TTNetworkInterface, loop: Loop, guard: Guard, changed: Callable[[], None]) -> None:
        self._link, self._loop, self.guard, self._changed = link, loop, guard, changed
        self._known: dict[str, _Receiver] = {}
        self.receipts = Receipts(guard.identity.name, link)

    def _find(self, name: str) -> _Receiver:
        found = self._known.get(name)
        return found or self._known.setdefault(name, _Receiver(name))

    def rehearse(self) -> None:
        """Publish a frame on a key that nobody subscribes to, shortly before an instant whose token may go to others.

        After some milliseconds of rest the processor's caches have lost the code and the tables of cipher and network:
        sealing and publishing then takes some 150 us, and 60 us after a rehearsal (64 bytes, medians of 400, two busy
        cores). Only the first one in a session sends something, because it declares the key.
        """
        if self._known:
            peers = [_NO_KEYS] if self.guard.identity.proves else None  # as for tokens: else there is no cipher to warm
            frame, _ = seal_tokens("", peers, 0, NOBODY, token_frame([(0, 0, b"", 0, 0, 1, b"")]), None)
            self._link.publish(NOBODY, frame)

    def way(self, key: str, sq: str, ensembles: Sequence[str], more: Sequence[str]) -> TokenWay:
        """The way of tokens of an SQ to its receivers, and to `more` that will be."""
        to = [self._find(name) for name in (*ensembles, *more)]
        left_out = [receiver for receiver in to if receiver.stands_still]
        if not left_out:
            return TokenWay(ensembles, sq, [(key, Sealing(self, key, to), ensembles)], ())
        each = [
            (apart_key(one.name), Sealing(self, key, [one], apart=True), [one.name] if one.name in ensembles else [])
            for one in to
            if not one.stands_still
        ]
        return TokenWay(ensembles, sq, each, left_out)

    def sent(self, to: Sequence[_Receiver], size: int) -> None:
        """A frame was sealed for some receivers; called by the thread that sends."""
        for receiver in to:
            receiver.since += size
            if receiver.since >= STEP:
                receiver.since, now, marks = 0, monotonic_us(), receiver.marks
                marks.append((self.guard.tokens_sealed, now))
                if len(marks) > MUCH and not receiver.stands_still:
                    self._loop.post(self._look, receiver, now)

    def _look(self, receiver: _Receiver, now: int) -> None:
        """Leave out a receiver that has had much to take for long."""
        marks = receiver.marks
        if len(marks) > MUCH and now - marks[0][1] > PATIENCE and not receiver.stands_still:
            receiver.stands_still, receiver.left_out = True, 0
            logger.warning("%r takes no tokens: it is left out until it does", receiver.name)
            self._changed()
            self._ask(receiver)

    def _ask(self, receiver: _Receiver) -> None:
        """Send a receiver that stands still a frame without tokens, again and again: it answers when it takes it."""
        if not receiver.stands_still or self._known.get(receiver.name) is not receiver:
            return
        sealing = Sealing(self, arc_key(*NO_ARC), [receiver], apart=True)
        self._link.publish(apart_key(receiver.name), sealing.nothing, None, [receiver.name])
        self._loop.after(ASK_AGAIN, lambda: self._ask(receiver))

    def took(self, taken: Taken) -> None:
        """A receiver tells up to which frame it has taken tokens."""
        receiver = self._known.get(taken.name)
        if receiver is None:
            return
        receiver.took(taken.number)
        if receiver.stands_still and not receiver.marks:
            receiver.stands_still = False
            logger.warning("%r takes tokens again: %d were not sent to it", receiver.name, receiver.left_out)
            self._changed()

    def gone(self, name: str) -> None:
        """An ensemble is gone. Should it come back, it takes tokens until it stands still anew."""
        self.receipts.gone(name)
        receiver = self._known.pop(name, None)
        if receiver is not None and receiver.stands_still:
            logger.warning("%r took no tokens, and is gone: %d were not sent to it", name, receiver.left_out)
            self._changed()

    def forget(self) -> None:
        """No context goes on."""
        self._known.clear()


class Sealing:
    """Seals what is published for some receivers on the key of an arc; called by the thread that sends.

    Args:
        receivers: of all tokens.
        key: the arc's.
        to: those that it seals for.
        apart: it is published on a key of its receiver's own.

    Attributes:
        used: tokens were sealed since the last frame without any.
    """

    __slots__ = ("_apart", "_key", "_names", "_receivers", "_seal", "_to", "used")

    def __init__(self, receivers: Receivers, key: str, to: Sequence[_Receiver], apart: bool = False) -> None:
        self._receivers, self._key, self._to, self._apart = receivers, key, to, apart
        self._names, self._seal = [receiver.name for receiver in to], receivers.guard.seal_tokens
        self.used = False

    def __call__(self, parcels: list[Parcel]) -> Data:
        """The frame of some parcels."""
        self.used = True
        sealed = self._seal(self._key, self._names, token_frame(parcels))[0]
        self._receivers.sent(self._to, len(sealed))
        return apart_frame(self._key, sealed) if self._apart else sealed

    def nothing(self) -> list[tuple[Data, None]]:
        """A frame without tokens."""
        frame = self([])
        self.used = False
        return [(frame, None)]

    def each(self, frames: Callable[[], Iterable[tuple[Data, bytes]]]) -> Iterator[tuple[Data, bytes | None]]:
        """Long data and their frames."""
        self.used = True
        for data, frame in frames():
            payload, sealed = self._seal(self._key, self._names, data, frame)
            self._receivers.sent(self._to, len(payload))
            yield payload, apart_frame(self._key, sealed) if self._apart and sealed is not None else sealed


_NO_KEYS = Keys(Known("", "ensemble", "", bytes(32)), bytes(16), "", bytes(16))
"""Keys that no process has: nobody is sent what is sealed with them."""


class Receipts:
    """Tells the senders of tokens up to which frame they have been taken.

    Args:
        name: of this ensemble.
        link: its end of the network.
    """

    def __init__(self, name: str, link: TTNetworkInterface) -> None:
        self._name, self._link = name, link
        self._since: dict[str, int] = {}  # by sender: bytes since it was told

    def took(self, sender: str, number: int, size: int) -> None:
        """So many bytes of a sender were taken, up to this frame; -1: it asks."""
        since = self._since.get(sender, 0) + size
        if size >= 0 and since < TOLD:
            self._since[sender] = since
        else:
            self._since[sender] = 0
            self._link.send(sender, message(NetMsg.TAKEN, Taken(self._name, number)))

    def gone(self, sender: str) -> None:
        """A sender is gone."""
        self._since.pop(sender, None)
