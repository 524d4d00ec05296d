"""The guard of a process: seals what it sends, and opens what comes; sans-I/O.

A *session* is one start of a process. Two processes learn each other's *badges*, which hold certificate and session: a
requester and the manager by a question, ensembles of one another from the manager. From the secret of two certificates
and the two sessions follow keys for each direction (`keys`). What is sealed is its sender's, for this recipient, of
this session, and nobody else can read it; a counter says that it is new.

Tokens go to several receivers at once. They are sealed with a key of their own. Beside them lies, for each receiver,
that key, sealed for the receiver together with a digest of all. So a receiver cannot forge what another one gets.

A question is answered once: it holds a challenge of the manager's, which is good for a while and for one question. The
answer is good for this question only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ticktalk.errors import TTError
from ticktalk.network_keys import Path
from ticktalk.physical.network.frames import HEAD, FrameError, body, check_length
from ticktalk.physical.trust.identity import Identity, Known
from ticktalk.physical.trust.keys import MARK, Keys, Peer, Purpose, any_number
from ticktalk.physical.trust.questions import Asked, Asking, Challenges, Question, asked_for
from ticktalk.physical.trust.revocations import Revocations
from ticktalk.physical.trust.signing import Verifier
from ticktalk.ranges import Count
from ticktalk.values.codec import Data

ONCE = 16
"""Bytes of the key of one frame of tokens."""

SLOT = MARK + ONCE + 16
"""Bytes of that key for one receiver: the receiver's mark, and the key, sealed."""

_HEAD, _DATA = bytes(12), bytes(11) + b"\1"
"""The two uses of such a key."""

PEERS = 10_000
"""Processes whose keys are remembered."""

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]


class DroppedError(FrameError):
    """What came is not taken; `kind` is the counter for it (`engine.counters.KINDS`)."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class NotForThisError(DroppedError):
    """Tokens that were sealed for others: this process listens before their sender knows of it, or still does."""


class Opened(NamedTuple):
    """What was sealed: from whom, its content, and whether it carries the manager's signature."""

    sender: Known
    body: bytes
    signed: bool


class Came(NamedTuple):
    """Tokens that came: from which ensemble, the number of their frame, and the frame, opened.

    Attributes:
        peer: the sender; None: nothing is proven here.
        sender: its name.
        payload, attached: as `token_frames.parse_parcels` takes them.
    """

    peer: Peer | None
    sender: str
    number: int
    payload: Data
    attached: Data | None

    def is_new(self) -> bool:
        """Whether they did not come before; they have come now."""
        return self.peer is None or self.peer.came[Path.TOKENS].is_new(self.number)

    @property
    def size(self) -> int:
        """Their bytes."""
        return len(self.payload) + len(self.attached or b"")


class Proven(NamedTuple):
    """A message that is proven to be a sender's, but may have come before (`Guard.take`)."""

    sender: str
    peer: Peer
    path: Path
    counter: int
    opened: Opened


class _Sealed(msgspec.Struct, array_like=True):
    sender: str
    session: bytes
    path: Path
    counter: int
    body: bytes
    signature: bytes = b""


class _SealedTokens(msgspec.Struct, array_like=True):
    sender: str
    number: Count
    slots: bytes
    body: memoryview


class Guard:
    """The guard of one session.

    Args:
        identity: of this process.
        sign: the manager's signature, if this is the manager with credentials.
        verify: the check of the manager's signature; None: there are no credentials, and the seal is proof enough.
        lists: the check of the authority's signature under a revocation list; None: there are no credentials.

    Attributes:
        badge: what others have to know to open what this process seals.
        revocations: the newest list that came.
        tokens_sealed: the number of the last frame of tokens; one thread at a time seals them.
    """

    def __init__(
        self, identity: Identity, sign: Sign | None = None, verify: Verify | None = None, lists: Verifier | None = None
    ) -> None:
        self.identity = identity
        self.session = os.urandom(16)
        self.badge = _encoder.encode((identity.certificate, self.session))
        self.revocations: Revocations | None = None
        self._sign, self._verify, self._lists = sign, verify, lists
        self._peers: dict[str, Peer] = {}
        self._first = 1  # a number that no message to a process that was forgotten had
        self.tokens_sealed = 0
        self._challenges = Challenges()

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
        before = self._peers.get(name)
        if before is None or before.session != session or before.known.serial != known.serial:
            self.forget(name)
            before = self._peer(known, session)
        self._peers.pop(name, None)
        self._peers[name] = before  # the last to be forgotten
        while len(self._peers) > PEERS:
            self.forget(next(iter(self._peers)))

    def _peer(self, known: Known, session: bytes) -> Peer:
        return Peer(known, session, self.identity.name, self.session, self._first)

    @property
    def alias(self) -> str:
        """The name of this session in a process that seals for it, but takes nothing from it (`admit_alias`)."""
        return _alias(self.identity.name, self.session)

    def admit_alias(self, badge: bytes) -> str:
        """From now on seal for a session whose process has not joined; its name for `seal`.

        Raises:
            TTError: the badge is not trusted.
        """
        known, session = self.read(badge)
        name = _alias(known.name, session)
        if name not in self._peers:
            self._peers[name] = self._peer(known, session)
        return name

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
        gone = [(name, peer.known) for name, peer in self._peers.items() if found.is_revoked(peer.known.serial)]
        for name, known in gone:
            if name != known.name:  # nobody has to be told
                self.forget(name)
        return [known for name, known in gone if name == known.name]

    def forget(self, name: str) -> None:
        """Take nothing of a process any more, and send it nothing.

        Its session may be admitted again, with the same keys: then its messages get numbers that were not used.
        """
        peer = self._peers.pop(name, None)
        if peer is not None:
            self._first = max(self._first, *(next(count) for count in peer.count.values()))

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
        sealed = peer.seal(Purpose.MESSAGE, number, content)
        return HEAD + _encoder.encode(_Sealed(self.identity.name, self.session, path, counter, sealed, signature))

    def open(self, frame: bytes) -> Opened:
        """What another process sealed for this one.

        Raises:
            FrameError: it is no such thing; a `DroppedError`: it is not proven, or not new.
        """
        return self.take(self.prove(frame))

    def prove(self, frame: bytes) -> Proven:
        """The same, whether it is new or not; called in any thread.

        Raises:
            FrameError: it is no such thing; a `DroppedError`: it is not proven.
        """
        try:
            sealed = _sealed.decode(body(frame))
            number = _number(sealed.path, sealed.counter)
        except (ValueError, OverflowError) as error:
            raise error if isinstance(error, FrameError) else FrameError(f"not a sealed frame: {error}") from None
        peer = self._peers.get(sealed.sender)
        if peer is None:
            raise DroppedError("forged", f"a message of {sealed.sender!r}, which is not known here")
        content = None
        if peer.session == sealed.session:
            content = peer.open(Purpose.MESSAGE, number, sealed.body)
        if content is None:
            raise DroppedError("forged", f"a message that is not proven to be {sealed.sender!r}'s")
        signed = peer.known.role == "manager"
        if self._verify is not None:
            told = _to_sign(self.identity.name, self.session, sealed.session, number, content)
            signed = bool(sealed.signature) and self._verify(told, sealed.signature)
        return Proven(sealed.sender, peer, sealed.path, sealed.counter, Opened(peer.known, content, signed))

    def take(self, proven: Proven) -> Opened:
        """What was sealed, if it is new, and its sender is still heard.

        Raises:
            DroppedError: it is not.
        """
        sender, peer, path, counter, opened = proven
        if self._peers.get(sender) is not peer:
            raise DroppedError("forged", f"a message of {sender!r}, which is not known here any more")
        if not peer.came[path].is_new(counter):
            raise DroppedError("replayed", f"a message of {sender!r} that came before")
        return opened

    # Tokens.

    def seal_tokens(
        self, key: str, recipients: Iterable[str], payload: Data, attached: bytes | None = None
    ) -> tuple[Data, bytes | None]:
        """Tokens for other processes, as they are published; one that is not known gets nothing.

        Args:
            key: on which they are published.
            payload, attached: a frame of tokens; or long data by themselves, and their frame (`token_frames`).
        """
        number, slots = self.tokens_sealed + 1, b""
        self.tokens_sealed = number
        frame = payload if attached is None else attached
        if self.identity.proves:
            # In any thread: one may be admitted anew, or forgotten, meanwhile.
            peers = [peer for name in recipients if (peer := self._peers.get(name)) is not None]
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
        sealed = HEAD + _encoder.encode((self.identity.name, number, slots, frame))
        return (sealed, None) if attached is None else (payload, sealed)

    def open_tokens(self, key: str, payload: bytes, attached: bytes | None = None) -> Came:
        """What was published on a key; called in any thread.

        Raises:
            FrameError: it is no such thing; a `DroppedError`: it is not proven, or not for this process.
        """
        try:
            sealed = _tokens.decode(body(payload if attached is None else attached))
        except ValueError as error:
            raise error if isinstance(error, FrameError) else FrameError(f"not a sealed frame: {error}") from None
        check_length(payload)
        if not self.identity.proves:
            return Came(None, sealed.sender, sealed.number, *_published(sealed.body, payload, attached))
        at = sealed.slots.find(self.session[:MARK])
        if at < 0:
            raise NotForThisError("forged", f"tokens of {sealed.sender!r} that are not proven to this process")
        peer = self._peers.get(sealed.sender)
        opened = None if peer is None else _open(peer, sealed, at, _about(key, payload, attached), payload, attached)
        if opened is None:
            raise DroppedError("forged", f"tokens that are not proven to be {sealed.sender!r}'s")
        return Came(peer, sealed.sender, sealed.number, *_published(*opened, attached))

    # Questions.

    def greeting(self) -> bytes:
        """What a requester has to know before it asks: the badge, and a challenge. It proves nothing yet."""
        return _encoder.encode((self.badge, self._challenges.make()))

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
        keys = Keys(known, session, self.identity.name, self.session)
        number = any_number()
        sealed = keys.seal(Purpose.QUESTION, number, content, asked_for(key, challenge, self.badge))
        question = Question(self.badge, challenge, number, sealed)
        return Asking(_encoder.encode(question), known, badge, keys, number)

    def asked(self, key: str, payload: bytes) -> Asked:
        """The question that came on `key`.

        Raises:
            TTError: its requester is not trusted, or it is not new; the message says why.
        """
        return self.take_question(self.prove_question(key, payload))

    def prove_question(self, key: str, payload: bytes) -> Asked:
        """The same, whether it is new or not; called in any thread. Reading an unknown certificate takes its time.

        Raises:
            TTError: its requester is not trusted; the message says why.
        """
        try:
            question = _question.decode(payload)
        except ValueError:
            raise TTError("this is no question that this manager understands: use the same ticktalk on both") from None
        known, session = self.read(question.badge)
        keys = Keys(known, session, self.identity.name, self.session)
        about = asked_for(key, question.challenge, question.badge)
        content = keys.open(Purpose.QUESTION, question.number, question.body, about)
        if content is None:
            raise TTError(
                f"the question is not proven to be {known.name!r}'s: its key does not fit"
                " (without credentials, a manager serves only the user who started it)"
            )
        return Asked(known, question.badge, question.challenge, content, keys, question.number)

    def take_question(self, asked: Asked) -> Asked:
        """A question that is proven, if it is new and its requester has not been revoked meanwhile.

        Raises:
            TTError: it is not.
        """
        self.read(asked.badge)
        self._challenges.use(asked.challenge)
        return asked


def revoked_text(known: Known) -> str:
    """The reason for a revoked one."""
    return (
        f"the certificate of {known.name!r} was revoked: issue a new one with"
        f" `ticktalk keys issue {known.name} --role {known.role}`"
    )


def _alias(name: str, session: bytes) -> str:
    return f"{name}@{session.hex()}"


def _number(path: Path, counter: int) -> bytes:
    return _PATHS[path] + counter.to_bytes(10, "big")


def _about(key: str, payload: Data, attached: Data | None) -> bytes:
    """What tokens are sealed with, beside their content: their key, and in which parts they are published."""
    return key.encode() + bytes((attached is not None and 1 + (len(payload) > 0),))


def _digest(about: bytes, frame: Data, data: Data) -> bytes:
    """Of all that is published: a seal over it holds for nothing else."""
    hashing = sha256(about + len(frame).to_bytes(8, "big"))
    hashing.update(frame)
    hashing.update(data)
    return hashing.digest()


def _open(
    peer: Peer, sealed: _SealedTokens, at: int, about: bytes, payload: Data, attached: Data | None
) -> tuple[Data, Data] | None:
    """A frame and its data, whose slot for this process begins there; None: they are not the peer's."""
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


def _published(frame: Data, data: Data, attached: bytes | None) -> tuple[Data, Data | None]:
    return (frame, None) if attached is None else (data, frame)


def _to_sign(recipient: str, session: bytes, own_session: bytes, number: bytes, content: bytes) -> bytes:
    return _encoder.encode((recipient, session, own_session, number, content))


_PATHS = {path: bytes((index,)) for index, path in enumerate(Path)}
_encoder = msgspec.msgpack.Encoder()
_badge = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_greeting = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_sealed = msgspec.msgpack.Decoder(_Sealed)
_tokens = msgspec.msgpack.Decoder(_SealedTokens)
_question = msgspec.msgpack.Decoder(Question)
