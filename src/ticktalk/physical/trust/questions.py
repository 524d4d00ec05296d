"""Questions to a manager, and its answers: each question is answered once and soon, each answer is for its question.

A question holds a challenge that the manager has made a moment before. Both are sealed by keys that only requester and
manager have (`shared_keys`).
"""

from __future__ import annotations

import hmac
import os
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from ticktalk.errors import TTError
from ticktalk.messages import ROWS, RuntimeMsg
from ticktalk.physical.trust.identity import Known
from ticktalk.physical.trust.shared_keys import Keys, Purpose, any_number

CHALLENGE_MARK = 16
"""Bytes by which a challenge is known to be this manager's."""

CHALLENGE_LIMIT = 30.0
"""Seconds for which a challenge is good."""

ANSWERED = 10_000
"""Questions of one role that may come within that time; without certificates, of one kind: joins, commands."""

OF_ONE = 1_000
"""Questions of one certificate's name that may come within that time, 33 a second."""

ROOM = 256 << 20
"""Bytes of the questions of a requester that may wait to be handled: graphs come in them."""

SMALL_ROOM = 1 << 20
"""Bytes of those of a requester that may not deploy."""

AGAIN = "the question came too late, or came before: ask again"


class NotNewError(TTError):
    """A question that is proven, and not taken now; `kind` is the counter for it (`counters.KINDS`)."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class SealedQuestion(msgspec.Struct, array_like=True):
    """A question as it is sent: the requester's badge, the manager's challenge, a number, and the content, sealed."""

    badge: bytes
    challenge: bytes
    number: bytes
    body: bytes


class SealedAnswer(msgspec.Struct, array_like=True):
    """An answer as it is sent: whether it is one or a refusal, a number, and the content, sealed."""

    accepted: bool
    number: bytes
    body: bytes


class Asking(NamedTuple):
    """A question on its way.

    Attributes:
        payload: as it is sent.
        answerer: the manager whose answer is taken.
        badge: the manager's.
        keys, number: they open the answer.
    """

    payload: bytes
    answerer: Known
    badge: bytes
    keys: Keys
    number: bytes

    def answer(self, payload: bytes) -> tuple[bool, bytes]:
        """`(True, answer)`, or `(False, reason)` when it was refused.

        Raises:
            TTError: the answer is not this manager's answer to this question.
        """
        try:
            answer = _answer.decode(payload)
        except ValueError:
            answer = None
        content = None
        if answer is not None:
            about = bytes((answer.accepted,)) + self.number
            content = self.keys.open(Purpose.ANSWER, answer.number, answer.body, about)
        if answer is None or content is None:
            raise TTError("the answer is not the manager's: somebody else answers its questions, so nothing was taken")
        return answer.accepted, content


class Asked(NamedTuple):
    """A question that has come: its requester, badge, challenge and content; the keys for the answer; its key."""

    requester: Known
    badge: bytes
    challenge: bytes
    body: bytes
    keys: Keys
    number: bytes
    kind: str

    @property
    def rooms(self) -> dict[str, int]:
        """The rooms that the question takes a place of, and how many places each has: no requester fills another's.

        A room is called by those whose questions it is for, as messages name them.
        """
        known = self.requester
        if not known.serial:
            return {f"one kind ({self.kind.rpartition('/')[2]})": ANSWERED}
        return {f"the role {known.role}": ANSWERED, repr(known.name): OF_ONE}

    @property
    def room(self) -> int:
        """The bytes of its requester's questions that may wait to be handled."""
        return ROOM if self.requester.role in ROWS[RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH].senders else SMALL_ROOM

    def answer(self, accepted: bool, body: bytes) -> bytes:
        """The answer as it is sent; not accepted: `body` is the reason."""
        number = any_number()
        sealed = self.keys.seal(Purpose.ANSWER, number, body, bytes((accepted,)) + self.number)
        return msgspec.msgpack.encode(SealedAnswer(accepted, number, sealed))


class Challenges:
    """The challenges of a manager: each is good for a while, and for one question."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._answered: deque[tuple[float, bytes, Collection[str]]] = deque()
        self._used: set[bytes] = set()
        self._taken: Counter[str] = Counter()  # by room

    def make(self) -> bytes:
        """A new one."""
        head = time.monotonic_ns().to_bytes(8, "big") + os.urandom(8)
        return head + self._mark(head)

    def use(self, challenge: bytes, rooms: Mapping[str, int]) -> None:
        """Take one that came with a question, which takes a place in each of these rooms for a while.

        Raises:
            NotNewError: it came before, or too late, is of another start of the manager, or a room is full.
        """
        head, mark = challenge[:16], challenge[16:]
        now = time.monotonic()
        while self._answered and now - self._answered[0][0] > CHALLENGE_LIMIT:
            _, former, left = self._answered.popleft()
            self._used.discard(former)
            for room in left:
                self._taken[room] -= 1
                if not self._taken[room]:
                    del self._taken[room]
        issued = int.from_bytes(head[:8], "big") / 1e9
        if challenge in self._used:
            raise NotNewError("replayed", AGAIN)
        if not hmac.compare_digest(self._mark(head), mark) or now - issued > CHALLENGE_LIMIT:
            raise NotNewError("untimely", AGAIN)
        full = [room for room, places in rooms.items() if self._taken[room] >= places]
        if full:
            raise NotNewError(
                "overflow", f"too many questions of {full[0]} came in the last {CHALLENGE_LIMIT:.0f} s: ask again later"
            )
        self._used.add(challenge)
        for room in rooms:
            self._taken[room] += 1
        self._answered.append((now, challenge, rooms.keys()))

    def _mark(self, head: bytes) -> bytes:
        return blake2b(head, digest_size=CHALLENGE_MARK, key=self._key).digest()


def asked_for(key: str, challenge: bytes, badge: bytes) -> bytes:
    """The data with which a question is sealed, beside its content."""
    return msgspec.msgpack.encode((key, challenge, badge))


_answer = msgspec.msgpack.Decoder(SealedAnswer)
