"""The guard of a process: it seals messages and tokens that go, and opens those that come; sans-I/O.

A *session* is one start of a process. Two processes learn each other's *badges*, which hold certificate and session: a
requester and the manager by a question, ensembles of one another from the manager. From the secret of two certificates
and the two sessions follow keys for each direction (`shared_keys`). A sealed frame is its sender's, for this recipient,
of this session, and nobody else can read it; a counter says that it is new.

Tokens go to several receivers at once (`token_seals`). A receiver cannot forge what another one gets.

A question is answered once: it holds a challenge of the manager's, which is good for a while and for one question. The
answer is good for this question only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from ticktalk.errors import TTError
from ticktalk.network_keys import Path
from ticktalk.physical.network.frames import HEAD, FrameError, body, check_frame_length
from ticktalk.physical.trust.identity import Identity, Known
from ticktalk.physical.trust.questions import Asked, Asking, Challenges, SealedQuestion, asked_for
from ticktalk.physical.trust.revocations import Revocations
from ticktalk.physical.trust.shared_keys import MARK, Keys, Peer, Purpose, any_number
from ticktalk.physical.trust.signing import Verifier
from ticktalk.physical.trust.token_seals import open_tokens, published, seal_tokens, sealed_tokens
from ticktalk.values.codec import Data

PEERS = 10_000
"""Processes whose keys are remembered."""

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]


class DroppedError(FrameError):
    """A message that is not taken.

    Attributes:
        kind: the counter for it (`counters.KINDS`).
        early: its sender is not known in its session, and may be soon: it may be proven then.
    """

    early = False

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class NotForThisError(DroppedError):
    """Tokens that were sealed for others: this process listens before their sender knows of it, or still does."""

    def __init__(self, sender: str) -> None:
        super().__init__("untimely", f"tokens of {sender!r} that are for others")


class OpenedMessage(NamedTuple):
    """An opened message: its sender, its content, whether it carries the manager's signature, and its path."""

    sender: Known
    body: bytes
    signed: bool
    path: Path


class OpenedTokens(msgspec.Struct, frozen=True):
    """Tokens that came: their sender, the number of their frame, and the frame, opened.

    Attributes:
        peer: the sender; None: nothing is proven here.
        sender: its name.
        size: bytes of what was published, sealed.
        payload, attached: as `token_frames.parse_parcels` takes them.
    """

    peer: Peer | None
    sender: str
    number: int
    size: int
    payload: Data
    attached: Data | None

    def is_new(self) -> bool:
        """True if they did not come before, and their sender was not revoked meanwhile; they have come now."""
        peer = self.peer
        return peer is None or (not peer.revoked and peer.came[Path.TOKENS].is_new(self.number))


class Proven(NamedTuple):
    """A message that is proven to be a sender's, but may have come before (`Guard.take`)."""

    sender: str
    peer: Peer
    counter: int
    opened: OpenedMessage

    @property
    def path(self) -> Path:
        """The path on which it was sent."""
        return self.opened.path


class _Sealed(msgspec.Struct, array_like=True):
    sender: str
    session: bytes
    recipient_session: bytes
    path: Path
    counter: int
    body: bytes
    signature: bytes = b""


class Guard:
    """The guard of one session.

    Args:
        identity: of this process.
        sign: the manager's signature, if this is the manager with credentials.
        verify: the check of the manager's signature; None: there are no credentials, and the seal is proof enough.
        lists: the check of the authority's signature under a revocation list; None: there are no credentials.

    Attributes:
        badge: certificate and session; others need it to open messages of this process.
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
        self._former: dict[str, Peer] = {}  # by name, the last session that was forgotten
        self._asked: Keys | None = None  # of the manager that was asked last, which may not be known yet
        self._first = 1  # a number that no message to a process that was forgotten had
        self.tokens_sealed = 0
        self._challenges = Challenges()

    # The processes that this one knows.

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

    def is_revoked(self, badge: bytes) -> bool:
        """True if the certificate of a badge is on the revocation list."""
        try:
            certificate, _ = _badge.decode(badge)
            known = self.identity.meet(certificate)
        except (ValueError, TTError):
            return False
        return self.revocations is not None and self.revocations.is_revoked(known.serial)

    def admit(self, badge: bytes, name: str) -> None:
        """From now on take the messages of `name` in this session, and in no other.

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
        """Take a revocation list, as its file has it, unless it is an old one: those on it that are known here.

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
        revoked = {name: peer for name, peer in self._peers.items() if found.is_revoked(peer.known.serial)}
        gone = [(name, peer.known) for name, peer in revoked.items()]
        for peer in revoked.values():
            peer.revoked = True  # its tokens may wait to be taken
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
            self._former[name] = peer
            if len(self._former) > PEERS:
                del self._former[next(iter(self._former))]
            self._first = max(self._first, *(last + 1 for last in peer.last.values()))

    def session_of(self, name: str) -> bytes | None:
        """The session in which a process is known."""
        peer = self._peers.get(name)
        return None if peer is None else peer.session

    def last_number(self, name: str, path: Path) -> int:
        """The number before that of the next message for a process on a path; 0: it is not known."""
        peer = self._peers.get(name)
        return 0 if peer is None else peer.last[path]

    # Messages.

    def seal(self, recipient: str, content: bytes, signed: bool = False, path: Path = Path.CONTROL) -> bytes:
        """A message for another process; those of one path are taken in about their order.

        Raises:
            DroppedError: its badge is not known.
        """
        peer = self._peers.get(recipient)
        if peer is None:
            raise DroppedError("untimely", f"no message can be sealed for {recipient!r}: it has not joined")
        counter = peer.last[path] = peer.last[path] + 1
        number = _number(path, counter)
        signature = b""
        if signed and self._sign is not None:
            signature = self._sign(_to_sign(recipient, peer.session, self.session, number, content))
        sealed = peer.seal(Purpose.MESSAGE, number, content)
        about = self.identity.name, self.session, peer.session, path, counter
        return HEAD + _encoder.encode(_Sealed(*about, sealed, signature))

    def open(self, frame: bytes) -> OpenedMessage:
        """The content that another process sealed for this one.

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
            check_frame_length(frame, sealed.path)
            number = _number(sealed.path, sealed.counter)
        except (ValueError, OverflowError) as error:
            raise error if isinstance(error, FrameError) else FrameError(f"not a sealed frame: {error}") from None
        peer = self._peers.get(sealed.sender)
        content = None
        if peer is not None and (peer.session, self.session) == (sealed.session, sealed.recipient_session):
            content = peer.open(Purpose.MESSAGE, number, sealed.body)
        if peer is None or content is None:
            for_another = peer if sealed.recipient_session != self.session else None
            refusal = self._why_not(sealed.sender, lambda keys: self._opens(keys, sealed, number), for_another)
            refusal.early = peer is None or peer.session != sealed.session
            raise refusal
        signed = peer.known.role == "manager"
        if self._verify is not None:
            told = _to_sign(self.identity.name, self.session, sealed.session, number, content)
            signed = bool(sealed.signature) and self._verify(told, sealed.signature)
        return Proven(sealed.sender, peer, sealed.counter, OpenedMessage(peer.known, content, signed, sealed.path))

    def take(self, proven: Proven) -> OpenedMessage:
        """The sealed content, if it is new, and its sender is still heard.

        Raises:
            DroppedError: it is not.
        """
        sender, peer, counter, opened = proven
        if self._peers.get(sender) is not peer:
            raise DroppedError("untimely", f"a message of {sender!r}, which is not known here any more")
        if not peer.came[opened.path].is_new(counter):
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
        self.tokens_sealed = number = self.tokens_sealed + 1
        peers = None
        if self.identity.proves:
            # In any thread: one may be admitted anew, or forgotten, meanwhile.
            peers = [peer for name in recipients if (peer := self._peers.get(name)) is not None]
        return seal_tokens(self.identity.name, peers, number, key, payload, attached)

    def open_tokens(self, key: str, payload: bytes, attached: bytes | None = None) -> OpenedTokens:
        """The content that was published on a key; called in any thread.

        Raises:
            FrameError: it is no such thing; a `DroppedError`: it is not proven, or not for this process.
        """
        if attached is None:
            sealed, size = sealed_tokens(payload), len(payload)
        else:
            sealed, size = sealed_tokens(attached), len(payload) + len(attached)
            check_frame_length(payload)
        if not self.identity.proves:
            return OpenedTokens(None, sealed.sender, sealed.number, size, *published(sealed.body, payload, attached))
        at = sealed.slots.find(self.session[:MARK])
        if at < 0:
            raise NotForThisError(sealed.sender)
        peer = self._peers.get(sealed.sender)
        opened = None if peer is None else open_tokens(peer, sealed, at, key, payload, attached)
        if opened is None:
            raise self._why_not(
                sealed.sender, lambda keys: open_tokens(keys, sealed, at, key, payload, attached) is not None
            )
        return OpenedTokens(peer, sealed.sender, sealed.number, size, *published(*opened, attached))

    def _opens(self, keys: Keys, sealed: _Sealed, number: bytes) -> bool:
        """True if these keys open a message, or those of the same two processes in the sessions that it names do.

        A session of this process that has ended is known by that name only. The name proves nothing, the keys do.
        """
        if sealed.recipient_session != self.session:
            keys = Keys(keys.known, sealed.session, self.identity.name, sealed.recipient_session)
        return keys.open(Purpose.MESSAGE, number, sealed.body) is not None

    def _why_not(self, sender: str, opens: Callable[[Keys], bool], peer: Keys | None = None) -> DroppedError:
        """The reason why a message, or tokens, in a sender's name do not open.

        They may be of another session of the sender's, which was forgotten or is not admitted yet. Or they may be for
        another session of this process, and `peer` has still to be tried. Keys have to prove it, as any message.
        """
        former, asked = self._former.get(sender), self._asked
        if sender not in self._peers and former is None:
            return DroppedError("untimely", f"a frame of {sender!r}, which is not known here")
        if asked is not None and asked.known.name != sender:
            asked = None
        if any(keys is not None and opens(keys) for keys in (former, asked, peer)):
            return DroppedError("untimely", f"a frame of {sender!r} that is of, or for, another start than that known")
        return DroppedError("forged", f"a frame that is not proven to be {sender!r}'s")

    # Questions.

    def greeting(self) -> bytes:
        """The greeting that a requester needs before it asks: the badge, and a challenge. It proves nothing yet."""
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
        self._asked = keys = Keys(known, session, self.identity.name, self.session)
        number = any_number()
        sealed = keys.seal(Purpose.QUESTION, number, content, asked_for(key, challenge, self.badge))
        question = SealedQuestion(self.badge, challenge, number, sealed)
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
        return Asked(known, question.badge, question.challenge, content, keys, question.number, key)

    def take_question(self, asked: Asked) -> Asked:
        """A question that is proven, if it is new and its requester has not been revoked meanwhile.

        Raises:
            TTError: it is not.
        """
        self.read(asked.badge)
        self._challenges.use(asked.challenge, asked.rooms)
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


def _to_sign(recipient: str, session: bytes, own_session: bytes, number: bytes, content: bytes) -> bytes:
    return _encoder.encode((recipient, session, own_session, number, content))


_PATHS = {path: bytes((index,)) for index, path in enumerate(Path)}
_encoder = msgspec.msgpack.Encoder()
_badge = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_greeting = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_sealed = msgspec.msgpack.Decoder(_Sealed)
_question = msgspec.msgpack.Decoder(SealedQuestion)
