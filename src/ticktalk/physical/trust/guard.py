"""The guard of a process: seals what it sends beside tokens, and opens what comes; sans-I/O.

A *session* is one start of a process. Two processes learn each other's *badges*, which hold certificate and session: a
requester and the manager by a question, ensembles of one another from the manager. From the secret of two certificates
and the two sessions follow keys for each direction. What is sealed carries a tag by such a key (BLAKE2b). So it is its
sender's, for this recipient, of this session; a counter says that it is new.

A question is answered once: it holds a challenge of the manager's, which is good for a while and for one question. The
answer is tagged over the question's tag.
"""

from __future__ import annotations

import hmac
import itertools
import os
import time
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from ticktalk.errors import TTError
from ticktalk.network_keys import Path
from ticktalk.physical.network.frames import HEAD, FrameError, body
from ticktalk.physical.trust.identity import Identity, Known
from ticktalk.physical.trust.revocations import Revocations
from ticktalk.physical.trust.signing import Verifier

TAG = 16
"""Bytes of a tag."""

WINDOW = 256
"""Messages by which one may be overtaken by later ones of its sender and path and still be taken."""

CHALLENGE_LIMIT = 30.0
"""Seconds for which a challenge is good."""

ANSWERED = 10_000
"""Questions that may come within that time."""

PEERS = 10_000
"""Processes whose keys are remembered."""

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]


class DroppedError(FrameError):
    """What came is not taken; `kind` is the counter for it (`engine.counters.KINDS`)."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Opened(NamedTuple):
    """What was sealed: from whom, its content, and whether it carries the manager's signature."""

    sender: Known
    body: bytes
    signed: bool


class _Sealed(msgspec.Struct, array_like=True):
    sender: str
    session: bytes
    path: Path
    counter: int
    body: bytes
    tag: bytes
    signature: bytes = b""


class _Question(msgspec.Struct, array_like=True):
    badge: bytes
    challenge: bytes
    body: bytes
    tag: bytes


class _Answer(msgspec.Struct, array_like=True):
    accepted: bool
    body: bytes
    tag: bytes


class _Keys:
    """The keys that this process shares with one session of another."""

    __slots__ = ("_in", "_out", "known", "session")

    def __init__(self, known: Known, session: bytes, name: str, own_session: bytes) -> None:
        self.known, self.session = known, session
        here, there = (name, own_session), (known.name, session)
        self._out = _key(known.secret, here, there)
        self._in = _key(known.secret, there, here)

    def tag(self, purpose: bytes, *parts: bytes) -> bytes:
        """A tag of this process's."""
        return _tag(self._out, purpose, parts)

    def holds(self, tag: bytes, purpose: bytes, *parts: bytes) -> bool:
        """Whether a tag is the other's."""
        return hmac.compare_digest(_tag(self._in, purpose, parts), tag)


class _Window:
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
        """Whether this number did not come before; it has come now."""
        ahead = number - self._highest
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & self._full if ahead < self._size else 1
            self._highest = number
            return True
        if -ahead >= self._size or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


class _Peer(_Keys):
    """Another process from which messages are taken, and to which they are sent; each path has numbers of its own."""

    __slots__ = ("came", "count")

    def __init__(self, known: Known, session: bytes, name: str, own_session: bytes) -> None:
        super().__init__(known, session, name, own_session)
        self.count = {path: itertools.count(1) for path in Path}
        self.came = {path: _Window(WINDOW) for path in Path}


class Asking(NamedTuple):
    """A question on its way.

    Attributes:
        payload: as it is sent.
        answerer: the manager whose answer is taken.
        badge: the manager's.
        keys, tag: what the answer is checked with.
    """

    payload: bytes
    answerer: Known
    badge: bytes
    keys: _Keys
    tag: bytes

    def answer(self, payload: bytes) -> tuple[bool, bytes]:
        """`(True, answer)`, or `(False, reason)` when it was refused.

        Raises:
            TTError: the answer is not this manager's answer to this question.
        """
        try:
            answer = _answer.decode(payload)
        except ValueError:
            answer = None
        if answer is None or not self.keys.holds(
            answer.tag, b"answer", self.tag, bytes([answer.accepted]), answer.body
        ):
            raise TTError("the answer is not the manager's: somebody else answers its questions, so nothing was taken")
        return answer.accepted, answer.body


class Asked(NamedTuple):
    """A question that has come: from whom, with which badge, its content, and what the answer is tagged with."""

    requester: Known
    badge: bytes
    body: bytes
    keys: _Keys
    tag: bytes

    def answer(self, accepted: bool, body: bytes) -> bytes:
        """The answer as it is sent; not accepted: `body` is the reason."""
        tag = self.keys.tag(b"answer", self.tag, bytes([accepted]), body)
        return _encoder.encode(_Answer(accepted, body, tag))


class Guard:
    """The guard of one session.

    Args:
        identity: of this process.
        sign: the manager's signature, if this is the manager with credentials.
        verify: the check of the manager's signature; None: there are no credentials, and the tag is proof enough.
        lists: the check of the authority's signature under a revocation list; None: there are no credentials.

    Attributes:
        badge: what others have to know to open what this process seals.
        revocations: the newest list that came.
    """

    def __init__(
        self, identity: Identity, sign: Sign | None = None, verify: Verify | None = None, lists: Verifier | None = None
    ) -> None:
        self.identity = identity
        self.session = os.urandom(16)
        self.badge = _encoder.encode((identity.certificate, self.session))
        self.revocations: Revocations | None = None
        self._sign, self._verify, self._lists = sign, verify, lists
        self._peers: dict[str, _Peer] = {}
        self._challenges = os.urandom(32)
        self._answered: deque[tuple[float, bytes]] = deque()
        self._used: set[bytes] = set()

    # Whom this process knows.

    def read(self, badge: bytes) -> tuple[Known, bytes]:
        """The process and the session that a badge is of.

        Raises:
            TTError: it is not trusted, or its certificate was revoked.
        """
        try:
            certificate, session = _badge.decode(badge)
        except ValueError:
            raise TTError("this is no message of this version: use the same ticktalk on both sides") from None
        known = self.identity.meet(certificate)
        if self.revocations is not None and known.serial and self.revocations.is_revoked(known.serial):
            raise TTError(revoked_text(known))
        return known, session

    def admit(self, badge: bytes, name: str) -> None:
        """From now on take what `name` sends in this session, and in no other.

        Raises:
            TTError: the badge is not trusted, or another's.
        """
        known, session = self.read(badge)
        if known.name != name:
            raise TTError(f"the certificate is issued to {known.name!r}, so it does not serve for {name!r}")
        before = self._peers.pop(name, None)
        if before is None or before.session != session or before.known.serial != known.serial:
            before = _Peer(known, session, self.identity.name, self.session)
        self._peers[name] = before
        while len(self._peers) > PEERS:
            del self._peers[next(iter(self._peers))]

    def revoke(self, content: bytes) -> list[Known]:
        """Take a revocation list, as its file has it, unless it is older than the last: those known who are on it.

        They can still be told why, until `forget`.

        Raises:
            TTError: it is none, or not the authority's.
        """
        if self._lists is None:
            return []
        found = Revocations.decode(content, self._lists)
        if self.revocations is not None and found.number <= self.revocations.number:
            return []
        self.revocations = found
        return [peer.known for peer in self._peers.values() if found.is_revoked(peer.known.serial)]

    def forget(self, name: str) -> None:
        """Take nothing of a process any more, and send it nothing."""
        self._peers.pop(name, None)

    def session_of(self, name: str) -> bytes | None:
        """The session in which a process is known."""
        peer = self._peers.get(name)
        return None if peer is None else peer.session

    # Messages.

    def seal(self, recipient: str, content: bytes, signed: bool = False, path: Path = Path.CONTROL) -> bytes:
        """A message for another process; those of one path are taken in about their order.

        Raises:
            DroppedError: its badge is not known.
        """
        peer = self._peers.get(recipient)
        if peer is None:
            raise DroppedError("forged", f"no message can be sealed for {recipient!r}: it has not joined")
        counter = next(peer.count[path])
        number = _number(path, counter)
        signature = b""
        if signed and self._sign is not None:
            signature = self._sign(_to_sign(recipient, peer.session, self.session, number, content))
        tag = peer.tag(b"message", number, content)
        return HEAD + _encoder.encode(_Sealed(self.identity.name, self.session, path, counter, content, tag, signature))

    def open(self, frame: bytes) -> Opened:
        """What another process sealed for this one.

        Raises:
            FrameError: it is no such thing; a `DroppedError`: it is not proven, or not new.
        """
        try:
            sealed = _sealed.decode(body(frame))
            number = _number(sealed.path, sealed.counter)
        except (ValueError, OverflowError) as error:
            raise error if isinstance(error, FrameError) else FrameError(f"not a sealed frame: {error}") from None
        peer = self._peers.get(sealed.sender)
        if peer is None:
            raise DroppedError("forged", f"a message of {sealed.sender!r}, which is not known here")
        if peer.session != sealed.session or not peer.holds(sealed.tag, b"message", number, sealed.body):
            raise DroppedError("forged", f"a message that is not proven to be {sealed.sender!r}'s")
        if not peer.came[sealed.path].is_new(sealed.counter):
            raise DroppedError("replayed", f"a message of {sealed.sender!r} that came before")
        signed = peer.known.role == "manager"
        if self._verify is not None:
            told = _to_sign(self.identity.name, self.session, sealed.session, number, sealed.body)
            signed = bool(sealed.signature) and self._verify(told, sealed.signature)
        return Opened(peer.known, sealed.body, signed)

    # Questions.

    def greeting(self) -> bytes:
        """What a requester has to know before it asks: the badge, and a challenge. It proves nothing yet."""
        head = time.monotonic_ns().to_bytes(8, "big") + os.urandom(8)
        return _encoder.encode((self.badge, head + self._mark(head)))

    def ask(self, greeting: bytes, key: str, content: bytes) -> Asking:
        """A question on `key` to the manager that greets so.

        Raises:
            TTError: it is no manager that is trusted.
        """
        try:
            badge, challenge = _greeting.decode(greeting)
        except ValueError:
            raise TTError("no manager of this version answers there: use the same ticktalk on both sides") from None
        known, session = self.read(badge)
        if known.role != "manager":
            raise TTError(
                f"{known.name!r} answers there, and is no manager: its credentials give the role {known.role}"
            )
        keys = _Keys(known, session, self.identity.name, self.session)
        tag = keys.tag(b"question", key.encode(), challenge, content)
        return Asking(_encoder.encode(_Question(self.badge, challenge, content, tag)), known, badge, keys, tag)

    def asked(self, key: str, payload: bytes) -> Asked:
        """The question that came on `key`.

        Raises:
            TTError: its requester is not trusted, or it is not new; the message says why.
        """
        try:
            question = _question.decode(payload)
        except ValueError:
            raise TTError("this is no question that this manager understands: use the same ticktalk on both") from None
        known, session = self.read(question.badge)
        keys = _Keys(known, session, self.identity.name, self.session)
        if not keys.holds(question.tag, b"question", key.encode(), question.challenge, question.body):
            raise TTError(
                f"the question is not proven to be {known.name!r}'s: its key does not fit"
                " (without credentials, a manager serves only the user who started it)"
            )
        self._use(question.challenge)
        return Asked(known, question.badge, question.body, keys, question.tag)

    def _use(self, challenge: bytes) -> None:
        head, mark = challenge[:16], challenge[16:]
        now = time.monotonic()
        while self._answered and now - self._answered[0][0] > CHALLENGE_LIMIT:
            self._used.discard(self._answered.popleft()[1])
        issued = int.from_bytes(head[:8], "big") / 1e9
        if not hmac.compare_digest(self._mark(head), mark) or now - issued > CHALLENGE_LIMIT or challenge in self._used:
            raise TTError("the question came too late, or came before: ask again")
        if len(self._used) >= ANSWERED:
            raise TTError("too many questions come at present: ask again later")
        self._used.add(challenge)
        self._answered.append((now, challenge))

    def _mark(self, head: bytes) -> bytes:
        return blake2b(head, digest_size=TAG, key=self._challenges).digest()


def revoked_text(known: Known) -> str:
    """The reason for a revoked one."""
    return (
        f"the certificate of {known.name!r} was revoked: issue a new one with"
        f" `ticktalk keys issue {known.name} --role {known.role}`"
    )


def _key(secret: bytes, sender: tuple[str, bytes], recipient: tuple[str, bytes]) -> Any:
    """The key of one direction, as a hash that has taken it in: a keyed BLAKE2b serves to derive it, too."""
    key = blake2b(
        _encoder.encode((sender, recipient)), digest_size=32, key=secret[:64], person=b"ticktalk-key"
    ).digest()
    return blake2b(digest_size=TAG, key=key)


def _tag(key: Any, purpose: bytes, parts: tuple[bytes, ...]) -> bytes:
    hashing = key.copy()
    hashing.update(purpose)
    for part in parts:
        hashing.update(len(part).to_bytes(8, "big"))
        hashing.update(part)
    return bytes(hashing.digest())


def _number(path: Path, counter: int) -> bytes:
    return path.value.encode() + counter.to_bytes(8, "big")


def _to_sign(recipient: str, session: bytes, own_session: bytes, number: bytes, content: bytes) -> bytes:
    return _encoder.encode((recipient, session, own_session, number, content))


_encoder = msgspec.msgpack.Encoder()
_badge = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_greeting = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_sealed = msgspec.msgpack.Decoder(_Sealed)
_question = msgspec.msgpack.Decoder(_Question)
_answer = msgspec.msgpack.Decoder(_Answer)
