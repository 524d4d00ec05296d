"""Values that ensembles of one host read where they were written, in place of copies that are sent.

A long value lies in a memory of its own ensemble: its worker's, or the ensemble's where bodies run in threads. The
sender offers that memory to the receivers of the value. A receiver on the same host, of the same user, opens it and
accepts. From then on the sender sends it only the places of values. A value that has other receivers, too, is sent
whole.

An ensemble to which SQs will come gets tokens before its senders know that it consumes them. For that time it
subscribes to `WHOLE`, and everybody sends values whole.

The timekeeper owns the state. The sending thread calls `frames`: the state that it reads may change at any moment.
`encode` is called by bodies in threads.
"""

from __future__ import annotations

import enum
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from ticktalk.defaults import MAX_VALUE
from ticktalk.errors import InvalidMessageError
from ticktalk.memory_payloads import Accepted, Offer, Settle
from ticktalk.messages import NetMsg, message
from ticktalk.network_interface import TTNetworkInterface
from ticktalk.network_keys import WHOLE
from ticktalk.physical.memory import arena
from ticktalk.physical.memory.arena import SENT, ArenaWriter, Memory, Reader, SharedValue
from ticktalk.physical.network.frames import LONG, FrameError, InvalidError
from ticktalk.physical.network.token_frames import AGAIN, Parcel, long_parcel
from ticktalk.physical.system import boot_id
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.values.codec import Data, check_length, encode_pieces

OFFER_AGAIN = 30_000_000
"""Microseconds after which a memory is offered again to an ensemble that did not accept it."""

TEND = 10_000_000
"""Microseconds between two looks for values that ended processes still hold. For as long, whole values are wanted after
the last SQ has come: by then all senders know where their consumers are."""

CROWDED = 16 << 20
"""Bytes of tokens that wait to be sent, from which on bodies wait longer for room in memory."""

BLOCK = 4
"""Rows that an ensemble gets: one for itself, the others for its workers."""

FIRST_BLOCK = 2
"""The first row that is not for the ensemble whose memory it is, or its worker."""


class _Mine:
    """A memory of this ensemble that others may read.

    Attributes:
        blocks: by ensemble, the first of its rows.
        accepted: ensembles that read in it.
        offered: when it was offered, by ensemble.
        under_way: by ensemble, values that were on their way to it at the last look: place and mark of each.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.blocks: dict[str, int] = {}
        self.accepted: set[str] = set()
        self.offered: dict[str, int] = {}
        self.under_way: dict[str, set[tuple[int, int]]] = {}
        self._turns = bytearray(arena.PLACES)

    def reads(self, ensemble: str) -> bool:
        """True if an ensemble reads in it, and lives."""
        if ensemble not in self.accepted:
            return False
        if self.memory.claimed(self.blocks[ensemble]):
            return True
        self.accepted.discard(ensemble)
        self.offered.pop(ensemble, None)
        return False

    def mark(self, place: int) -> int:
        """By which the value that is in a place now is sent."""
        turn = self._turns[place] = (self._turns[place] + 1) % (256 - SENT)
        return SENT + turn

    def offer(self, ensemble: str, now: int) -> int | None:
        """The first row for an ensemble that does not read yet; None: there is none for it now."""
        if not self.may_offer(ensemble, now):
            return None
        self.offered[ensemble] = now
        first = self.blocks.get(ensemble)
        if first is None:
            first = FIRST_BLOCK + BLOCK * len(self.blocks)
            if first + BLOCK > arena.ROWS:
                gone = next((name for name in self.blocks if self._is_gone(name, now)), None)
                if gone is None:
                    return None
                first = self.blocks.pop(gone)
            self.blocks[ensemble] = first
        if not self._clear(first):
            return None  # an earlier ensemble of that name still reads
        self.memory.use(max(self.memory.used, first + BLOCK))
        return first

    def may_offer(self, ensemble: str, now: int) -> bool:
        """True if it was not offered to an ensemble lately."""
        return now - self.offered.get(ensemble, -OFFER_AGAIN) >= OFFER_AGAIN

    def _is_gone(self, ensemble: str, now: int) -> bool:
        """True if an ensemble has ended, or cannot read."""
        return ensemble not in self.accepted and self.may_offer(ensemble, now) and self._clear(self.blocks[ensemble])

    def _clear(self, first: int) -> bool:
        return all(self.memory.clear(row) for row in range(first, first + BLOCK))

    def tend(self) -> dict[str, list[tuple[int, int]]]:
        """Free the places of ended processes; by ensemble, place and mark of the values that did not get to it."""
        lost = {}
        for ensemble, first in self.blocks.items():
            for row in range(first, first + BLOCK):
                if any(self.memory.row(row)):
                    self.memory.clear(row)
            marks = bytes(self.memory.row(first)[: arena.PLACES])
            under_way = {(place, mark) for place, mark in enumerate(marks) if mark >= SENT}
            # A value sent before this message arrives before it, or never.
            both = under_way & self.under_way.get(ensemble, set())
            self.under_way[ensemble] = under_way
            if both and ensemble in self.accepted:
                lost[ensemble] = sorted(both)
        return lost


class Readers(Protocol):
    """The workers of an ensemble, which read in memories of others, too."""

    @property
    def in_processes(self) -> bool:
        """True if they are processes of their own; else they are threads, and use the ensemble's memory."""

    def share(self, memory: Memory, rows: Sequence[int]) -> None:
        """Read in a memory, by these rows."""

    def share_no_more(self, nonce: bytes) -> None:
        """Forget the memory with this mark."""


class Sharing:
    """The memories that an ensemble shares with others of its host.

    Args:
        name: the ensemble's.
        link: its end of the network.
        loop: keeps its time.
        readers: gives its workers.
        keeps: whether it takes tokens for SQs that will come.

    Attributes:
        max_value: bytes of the longest value that may be sent.
        handed: values of which only the place was sent.
        handlers: by kind, the handler for messages of other ensembles about this.
    """

    def __init__(
        self, name: str, link: TTNetworkInterface, loop: Loop, readers: Callable[[], Readers], keeps: Callable[[], bool]
    ) -> None:
        self.handed = 0
        self.max_value = MAX_VALUE
        self._name = name
        self._link = link
        self._loop = loop
        self._readers = readers
        self._keeps = keeps
        self._mine: dict[bytes, _Mine] = {}
        self._theirs: dict[bytes, tuple[str, Reader]] = {}  # whose memory it is, and what reads in it
        self._own: tuple[ArenaWriter, Reader] | None = None  # where bodies run in threads
        self._needs_own = False
        self._making = threading.Lock()
        self._wants_whole = False
        self._crowded = False
        self.handlers: dict[enum.Enum, Callable[[Any], None]] = {
            NetMsg.OFFER: self._offered,
            NetMsg.ACCEPTED: self._accepted,
            NetMsg.SETTLE: self._settle,
        }
        loop.every(TEND, self._tend)

    # Values that are sent.

    def encode(self, value: object) -> Data:
        """A value as MessagePack; a long one in shared memory, once a receiver on this host can read it.

        Raises:
            NoCodecError: as `encode_value`.
        """
        pieces = encode_pieces(value)
        length = sum(map(len, pieces))
        check_length(length, self.max_value)
        if self._needs_own and length >= LONG:
            with self._making:
                if self._own is None:
                    memory = arena.create()
                    self._needs_own = memory is not None
                    self._own = None if memory is None else (ArenaWriter(memory, waits=True), Reader(memory))
            if self._own is not None:
                writer, reader = self._own
                placed = writer.put(pieces)
                if placed is not None:
                    placed.sent = True
                    return reader.view(placed.where)
        return b"".join(pieces)

    def later(self, parcel: Parcel, ensembles: Sequence[str]) -> Callable[[], Iterator[tuple[Data, bytes]]]:
        """`frames`, to be called when they are sent."""
        self._tell_whether_crowded()
        return partial(self.frames, parcel, ensembles)

    def frames(self, parcel: Parcel, ensembles: Sequence[str]) -> Iterator[tuple[Data, bytes]]:
        """A parcel with long data for some ensembles as `(payload, attached)`: sent one by one.

        There are two of them where it turns out, when a place has been sent, that others may have got that, too.
        """
        self._tell_whether_crowded()
        where = self._hand(parcel[-1], ensembles)
        yield long_parcel(parcel, where)
        if where and self._whole_is_wanted():
            yield long_parcel(parcel, AGAIN)

    def _tell_whether_crowded(self) -> None:
        """Tell those that write values whether many bytes wait to be sent."""
        crowded = self._link.unsent > CROWDED
        if crowded is not self._crowded:
            self._crowded = crowded
            for mine in list(self._mine.values()):
                mine.memory.crowd(crowded)

    def _hand(self, data: Data, ensembles: Sequence[str]) -> bytes:
        """Let all these ensembles read a value; its place, or empty if not all can, or there are none."""
        if not ensembles:
            return b""
        found = arena.lent(data)
        if found is None:
            self._needs_own = not self._readers().in_processes
            return b""
        memory = found.memory
        if not memory.own or memory.closed:
            return b""
        mine = self._mine.get(memory.nonce)
        missing = [name for name in ensembles if mine is None or not mine.reads(name)]
        if mine is None or missing:
            now = monotonic_us()
            if mine is None or any(mine.may_offer(name, now) for name in missing):
                self._loop.post(self._offer, memory, missing)
            return b""
        if self._whole_is_wanted():
            return b""
        handed: list[SharedValue] = []
        mark = mine.mark(found.place)
        for name in ensembles:
            placed = found.send_to(mine.blocks[name], mark)
            if placed is None:
                return b""
            handed.append(placed)
        for placed in handed:
            placed.sent = True
        self.handed += 1
        return memory.nonce + handed[0].where

    def _whole_is_wanted(self) -> bool:
        """True if an ensemble takes tokens not known to be for it; it subscribes before it takes any."""
        return self._link.subscribed(WHOLE)

    def _offer(self, memory: Memory, ensembles: Sequence[str]) -> None:
        mine = self._mine.setdefault(memory.nonce, _Mine(memory))
        now = monotonic_us()
        for name in ensembles:
            row = None if memory.closed else mine.offer(name, now)
            if row is not None:
                offer = Offer(self._name, boot_id(), os.getpid(), memory.descriptor, memory.nonce, row)
                self._send(name, NetMsg.OFFER, offer)

    def _accepted(self, accepted: Accepted) -> None:
        mine = self._mine.get(accepted.nonce)
        if mine is not None and mine.blocks.get(accepted.name) == accepted.row:
            mine.accepted.add(accepted.name)

    # Values that arrive.

    def view(self, where: memoryview, sender: str) -> memoryview | None:
        """The value at a place that its sender names; None: it is not for this ensemble.

        Raises:
            FrameError: that is no place, or in the memory of another.
        """
        if len(where) != arena.WHERE:
            raise FrameError("not the place of a value")
        nonce, place = arena.parted(where)
        owner, reader = self._theirs.get(nonce, ("", None))
        if reader is not None and owner != sender:
            raise InvalidError(f"a place in the memory of {owner!r}, named by {sender!r}")
        try:
            data = None if reader is None else reader.take(place)
        except ValueError as error:
            raise FrameError(str(error)) from None
        if data is None:
            self.want_whole()  # its sender does not know yet that it is consumed here
        return data

    def _offered(self, offer: Offer) -> None:
        if not offer.boot_id or offer.boot_id != boot_id() or not 0 < offer.row <= arena.ROWS - BLOCK:
            return
        owner = self._theirs.get(offer.nonce, (offer.name,))[0]
        if owner != offer.name:
            raise InvalidMessageError(f"an offer of {offer.name!r} of the memory of {owner!r}")
        if offer.nonce not in self._theirs:
            memory = arena.opened(offer.process, offer.descriptor, offer.nonce)
            if memory is None or not memory.claim(offer.row):
                return
            self._theirs[offer.nonce] = (offer.name, Reader(memory, offer.row))
            self._readers().share(memory, range(offer.row + 1, offer.row + BLOCK))
        self._send(offer.name, NetMsg.ACCEPTED, Accepted(self._name, offer.nonce, offer.row))

    def _settle(self, settle: Settle) -> None:
        owner, reader = self._theirs.get(settle.nonce, ("", None))
        if reader is not None:
            if owner != settle.name:
                raise InvalidMessageError(f"{settle.name!r} settles values in the memory of {owner!r}")
            reader.settle(settle.places)

    def want_whole(self) -> None:
        """Have others send values themselves, for a while."""
        if not self._wants_whole:
            self._wants_whole = True
            self._link.subscribe(WHOLE, lambda frame, attached: None)
            self._loop.after(TEND, self._want_no_more)

    def _want_no_more(self) -> None:
        if self._keeps():
            self._loop.after(TEND, self._want_no_more)
        else:
            self._wants_whole = False
            self._link.unsubscribe(WHOLE)

    # Both.

    def _tend(self) -> None:
        for nonce, mine in list(self._mine.items()):
            if mine.memory.closed:
                del self._mine[nonce]  # of a worker that is gone
                continue
            for name, places in mine.tend().items():
                self._send(name, NetMsg.SETTLE, Settle(self._name, nonce, places))
        for nonce, (_, reader) in list(self._theirs.items()):
            if not reader.memory.owned:
                del self._theirs[nonce]
                self._readers().share_no_more(nonce)

    def _send(self, ensemble: str, kind: NetMsg, payload: Offer | Accepted | Settle) -> None:
        self._link.send(ensemble, message(kind, payload))
