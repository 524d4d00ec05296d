"""The keys that two processes share: each opens messages that the other seals; nobody else can read or make them.

They follow from the secret of the two processes and from both starts, one for each direction: AES-256 with Galois
counters. Each use of a key has a number of its own. Its first byte says for which purpose it is, so that nothing serves
for another one.
"""

from __future__ import annotations

import enum
import os
from hashlib import blake2b

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ticktalk.network_keys import Path
from ticktalk.physical.trust.identity import Known
from ticktalk.values.codec import Data

WINDOW = 256
"""Messages by which one may be overtaken by later ones of its sender and path and still be taken."""

MARK = 8
"""Bytes by which a receiver finds its own slot: the first of its session."""


class Purpose(enum.IntEnum):
    """The uses of a key."""

    MESSAGE = 0
    QUESTION = 1
    ANSWER = 2
    TOKENS = 3
    DATA = 4
    SLOT = 5


class Keys:
    """The keys that this process shares with one session of another.

    Args:
        known: the other.
        session: the other's.
        name, own_session: of this process.
    """

    __slots__ = ("_in", "_out", "known", "mark", "session")

    def __init__(self, known: Known, session: bytes, name: str, own_session: bytes) -> None:
        self.known, self.session, self.mark = known, session, session[:MARK]
        here, there = (name, own_session), (known.name, session)
        self._out = AESGCM(_key(known.secret, here, there))
        self._in = AESGCM(_key(known.secret, there, here))

    def seal(self, purpose: Purpose, number: bytes, content: Data, about: bytes = b"") -> bytes:
        """Content for the other.

        Args:
            number: 11 bytes that no other content for this purpose has.
            about: further content; the other needs the same to open it.
        """
        return self._out.encrypt(bytes((purpose,)) + number, content, about)

    def open(self, purpose: Purpose, number: bytes, sealed: Data, about: bytes = b"") -> bytes | None:
        """The content that the other sealed with the same arguments; None: it did not."""
        try:
            return self._in.decrypt(bytes((purpose,)) + number, sealed, about)
        except (InvalidTag, ValueError):
            return None


class Window:
    """The numbers that came from one sender on one path: each is taken once, and none that is far behind.

    Args:
        size: by how many later ones a number may be overtaken.
    """

    __slots__ = ("_full", "_highest", "_seen", "_size")

    def __init__(self, size: int) -> None:
        self._size, self._full = size, (1 << size) - 1
        self._highest = 0
        self._seen = 0  # bit n: the number n before the highest has come

    def is_new(self, number: int) -> bool:
        """True if this number did not come before; it has come now."""
        ahead = number - self._highest
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & self._full if ahead < self._size else 1
            self._highest = number
            return True
        if -ahead >= self._size or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


class Peer(Keys):
    """Another process from which messages are taken, and to which they are sent; each path has numbers of its own.

    Args:
        first: the first number: no message of this session to it had that one, or a later one.
    """

    __slots__ = ("came", "last", "revoked")

    def __init__(self, known: Known, session: bytes, name: str, own_session: bytes, first: int) -> None:
        super().__init__(known, session, name, own_session)
        self.last = dict.fromkeys(Path, first - 1)
        self.came = {path: Window(WINDOW) for path in Path}
        self.revoked = False


def any_number() -> bytes:
    """A number that no other content has: for rare content without a count."""
    return os.urandom(11)


def _key(secret: bytes, sender: tuple[str, bytes], recipient: tuple[str, bytes]) -> bytes:
    """The key of one direction: a keyed BLAKE2b serves to derive it."""
    content = msgspec.msgpack.encode((sender, recipient))
    return blake2b(content, digest_size=32, key=secret[:64], person=b"ticktalk-key").digest()
