"""Token frames: the tokens that go from one ensemble to others.

A frame is a list of parcels `[context, generation, arcs, numbers, start, stop, data]`. A parcel is a token of the arc
whose key it is published on: `arcs` is empty, `numbers` its number, `data` its value. Or it is a token of each of
several arcs of that arc's SQ. `arcs` has their indexes (`arcs_in`), `numbers` a number for each or one for all, `data`
an array of their values.

Long data are published by themselves, with a frame attached that holds their parcel without them. If the parcel says
where in shared memory they are, they are not published.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from ticktalk.hosted.arc_numbers import Numbers
from ticktalk.physical.network.frames import HEAD, FrameError, InvalidError, body, check_frame_length
from ticktalk.ranges import Count
from ticktalk.time import Tick
from ticktalk.values.codec import Data

Head = list[Any]
"""A parcel without its data."""

Find = Callable[[Head, memoryview, Data], Data | None]
"""`(head, where, payload)`: finds the data of a parcel that says where they are; None: there are none."""

AGAIN = b"\0"
"""In place of where data are: the payload holds them, for receivers to which the parcel before gave only a place."""

Parcel = tuple[int, int, bytes, Numbers, Tick, Tick, Data]
"""`(context, generation, arcs, numbers, start, stop, data)`: `numbers` count the tokens of an arc from one sender."""


class TakesParcels(Protocol):
    """SQs that run together in a worker, fed by one SQ of another ensemble: they take its parcels as they came."""

    def takes(self, arcs: Iterable[int]) -> bool:
        """True if parcels of these arcs are for them, and for nothing else here."""

    def take(
        self, arcs: int | bytes, indexes: tuple[int, ...], numbers: Numbers, data: Data, start: Tick, stop: Tick,
        apart: Callable[[], None],
    ) -> None:  # fmt: skip
        """Take a parcel; `apart` gives its tokens to the ports instead."""

    def passes(self, arcs: Iterable[int], start: Tick) -> None:
        """A parcel of these arcs goes to the ports."""


def token_frame(parcels: list[Parcel]) -> bytes:
    """Tokens of one arc, or of one SQ."""
    return HEAD + _encoder.encode(parcels)


def long_parcel(parcel: Parcel, where: bytes = b"") -> tuple[Data, bytes]:
    """A parcel with long data as `(payload, attached)`: the data by themselves, so that they are not copied.

    Args:
        parcel: the parcel.
        where: instead of the data, if not empty; or `AGAIN`.
    """
    *head, data = parcel
    return data if where in (b"", AGAIN) else b"", HEAD + _encoder.encode([(*head, where)])


def _nowhere(head: Head, where: memoryview, payload: Data) -> None:
    return None


def parse_parcels(frame: Data, attached: Data | None = None, find: Find = _nowhere) -> Sequence[Parcel]:
    """The parcels in a frame, or the one that is attached to its data; their data are views into the frame.

    Args:
        frame, attached: as they came.
        find: gives data that are somewhere else, or came again.

    Raises:
        FrameError: the bytes are no token frame.
    """
    try:
        if attached is None:
            return _parcels.decode(body(frame))
        check_frame_length(frame)
        ((*head, where),) = _parcels.decode(body(attached))
        data = find(head, where, frame) if len(where) else frame
        if data is None:
            return []
        return [(*head, data)]  # type: ignore[list-item]  # mypy forgets the types of `head`
    except FrameError:
        raise
    except msgspec.ValidationError as error:
        raise InvalidError(f"a token that cannot be: {error}") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise FrameError(f"not a token frame: {error}") from None


def apart_frame(key: str, sealed: Data) -> bytes:
    """A sealed frame of an arc, as it is published on a key of its receiver's own."""
    return HEAD + _encoder.encode((key, sealed))


def parse_apart(frame: bytes) -> tuple[str, bytes]:
    """The key of an arc, and the sealed frame: what `apart_frame` was given.

    Raises:
        FrameError: the bytes are no such frame.
    """
    try:
        return _apart.decode(body(frame))
    except msgspec.DecodeError as error:
        raise FrameError(f"not tokens for one receiver: {error}") from None


def arcs_as_bytes(arcs: Sequence[int]) -> bytes:
    """The indexes of the arcs of a parcel as they stand in it."""
    return struct.pack(f"<{len(arcs)}I", *arcs)


def arcs_in(arcs: bytes, there: int | None = None) -> tuple[int, ...]:
    """The indexes that `arcs_as_bytes` wrote.

    Args:
        arcs: at least one of them.
        there: the number of arcs that their SQ has; None: they are known to be its own.

    Raises:
        FrameError: they are no such bytes, or not all of them are arcs of the SQ.
    """
    if len(arcs) % 4:
        raise FrameError("the arcs of a parcel are whole numbers of 4 bytes")
    if there is not None and len(arcs) // 4 > there:  # seen before room is taken for them
        raise InvalidError(f"a parcel of {len(arcs) // 4} arcs of an SQ that has {there}")
    indexes = struct.unpack(f"<{len(arcs) // 4}I", arcs)
    if there is not None and max(indexes) >= there:
        raise InvalidError(f"a parcel of arc {max(indexes)} of an SQ that has {there}")
    return indexes


_encoder = msgspec.msgpack.Encoder()
_apart = msgspec.msgpack.Decoder(tuple[str, bytes])
_parcels = msgspec.msgpack.Decoder(list[tuple[Count, Count, bytes, Count | list[Count], Tick, Tick, memoryview]])
