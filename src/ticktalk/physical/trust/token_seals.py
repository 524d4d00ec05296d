"""The seals of tokens: one publication for several receivers, which none of them can forge for another.

Tokens are sealed with a key of their own. Beside them lies, for each receiver, that key, sealed for the receiver
together with a digest of all. For one receiver alone they are sealed with its keys.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ticktalk.physical.network.frames import HEAD, FrameError, body
from ticktalk.physical.trust.shared_keys import MARK, Keys, Purpose
from ticktalk.ranges import Count
from ticktalk.values.codec import Data

ONCE = 16
"""Bytes of the key of one frame of tokens."""

SLOT = MARK + ONCE + 16
"""Bytes of that key for one receiver: the receiver's mark, and the key, sealed."""

_HEAD, _DATA = bytes(12), bytes(11) + b"\1"
"""The two uses of such a key."""


class SealedTokens(msgspec.Struct, array_like=True):
    """A frame as it is published: its sender, its number, the keys for each receiver, and the tokens, sealed."""

    sender: str
    number: Count
    slots: bytes
    body: memoryview


def seal_tokens(
    sender: str, peers: Sequence[Keys] | None, number: int, key: str, payload: Data, attached: bytes | None
) -> tuple[Data, bytes | None]:
    """Tokens for other processes, as they are published.

    Args:
        sender: this process's name.
        peers: those for which they are sealed; None: nothing is proven here.
        number: of the frame, which no other one has.
        key: on which they are published.
        payload, attached: a frame of tokens; or long data by themselves, and their frame (`token_frames`).
    """
    slots, frame = b"", payload if attached is None else attached
    if peers is not None:
        each, about = number.to_bytes(11, "big"), _about(key, payload, attached)
        data = attached is not None and len(payload) > 0
        if len(peers) == 1:
            # Most frames have one receiver. A hop shows the time that more than one seal takes.
            (peer,) = peers
            slots, frame = peer.mark, peer.seal(Purpose.TOKENS, each, frame, about)
            if data:
                payload = peer.seal(Purpose.DATA, each, payload, about)
        else:
            once = os.urandom(ONCE)
            lock = AESGCM(once)
            frame = lock.encrypt(_HEAD, frame, about)
            if data:
                payload = lock.encrypt(_DATA, payload, about)
            digest = _digest(about, frame, payload if data else b"")
            slots = b"".join([peer.mark + peer.seal(Purpose.SLOT, each, once, digest) for peer in peers])
    sealed = HEAD + _encoder.encode((sender, number, slots, frame))
    return (sealed, None) if attached is None else (payload, sealed)


def sealed_tokens(frame: bytes) -> SealedTokens:
    """The content of a frame, unopened.

    Raises:
        FrameError: it is no such frame.
    """
    try:
        return _tokens.decode(body(frame))
    except ValueError as error:
        raise error if isinstance(error, FrameError) else FrameError(f"not a sealed frame: {error}") from None


def _about(key: str, payload: Data, attached: Data | None) -> bytes:
    """The further content of a seal of tokens: their key, and the parts in which they are published."""
    return key.encode() + (b"\0" if attached is None else b"\2" if len(payload) else b"\1")


def _digest(about: bytes, frame: Data, data: Data) -> bytes:
    """Of all that is published: a seal over it holds for nothing else."""
    hashing = sha256(about + len(frame).to_bytes(8, "big"))
    hashing.update(frame)
    hashing.update(data)
    return hashing.digest()


def open_tokens(
    peer: Keys, sealed: SealedTokens, at: int, key: str, payload: Data, attached: Data | None
) -> tuple[Data, Data] | None:
    """A frame and its data, whose slot for this process begins at `at`; None: they are not the peer's."""
    about = _about(key, payload, attached)
    each, data = sealed.number.to_bytes(11, "big"), attached is not None and len(payload) > 0
    opened: Data | None = b""
    if len(sealed.slots) == MARK:
        frame = peer.open(Purpose.TOKENS, each, sealed.body, about)
        if data:
            opened = peer.open(Purpose.DATA, each, payload, about)
        return None if frame is None or opened is None else (frame, opened)
    digest = _digest(about, sealed.body, payload if data else b"")
    once = peer.open(Purpose.SLOT, each, sealed.slots[at + MARK : at + SLOT], digest)
    if once is None:
        return None
    try:
        lock = AESGCM(once)
        return lock.decrypt(_HEAD, sealed.body, about), lock.decrypt(_DATA, payload, about) if data else b""
    except (InvalidTag, ValueError):
        return None  # it sealed the key, but not these with it


def published(frame: Data, data: Data, attached: bytes | None) -> tuple[Data, Data | None]:
    """A frame and its data as they were given to be sealed."""
    return (frame, None) if attached is None else (data, frame)


_encoder = msgspec.msgpack.Encoder()
_tokens = msgspec.msgpack.Decoder(SealedTokens)
