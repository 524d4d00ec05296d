"""The network that the runtime needs, simulated or real.

An ensemble sends control messages to the processes of another. It publishes on keys, which others subscribe to: a token
goes on the key of its arc. It asks questions on keys, and answers those of others. `network_keys` has the keys.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ticktalk.messages import Message


class Question(Protocol):
    """A question that another process asked, to be answered or refused once.

    Attributes:
        payload: its content.
    """

    payload: bytes

    def answer(self, answer: bytes) -> None:
        """Reply it; a question that has been answered or refused takes nothing more."""

    def refuse(self, reason: str) -> None:
        """Refuse it; the requester is shown the reason."""


Handle = Callable[[Question], None]
"""Takes a question, and answers it at once or later; called in a thread of the network's, so it must not block."""

Receive = Callable[[Any, Any], None]
"""`(payload, attached)`: takes a publication; called in a thread of the network's, so it must not block."""

Join = Callable[[list[Any]], Any]
"""Makes one payload of several parts."""

Reply = tuple[bool, bytes]
"""`(True, answer)`, or `(False, reason)` when the question was refused."""


Wanted = Callable[[Reply], bool]
"""True of the reply that was asked for; called as replies come."""


def any_reply(reply: Reply) -> bool:
    """Every reply is wanted."""
    return True


class TTNetworkInterface(Protocol):
    """The network as one ensemble sees it: simulated (`TTNetworkInterfaceSim`) or real (`TTNetworkInterfaceZenoh`).

    Messages from one ensemble to another, or on one key, arrive in the order sent or are lost. Only `ask` blocks.
    """

    @property
    @abstractmethod
    def identity(self) -> str:
        """The name of this end of the network in `reachable`."""

    @property
    def unsent(self) -> int:
        """Bytes of publications that wait to be sent."""
        return 0

    @abstractmethod
    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message to a process of an ensemble."""

    @abstractmethod
    def publish(
        self, key: str, part: Any, join: Join | None = None, to: Sequence[str] | None = None, size: int = 0
    ) -> None:
        """Publish on a key.

        Args:
            key: where.
            part: the payload. Or a callable that gives, at the time of sending, pairs of a payload and its attachment.
                Or, with `join`, a part that may be sent in one payload with other parts that wait.
            join: makes one payload of such parts.
            to: the receivers, where they are known; a network may bring the payload to others, too.
            size: bytes of the part, where what waits is to be bounded in bytes.
        """

    @abstractmethod
    def subscribe(self, key: str, receive: Receive) -> None:
        """Have `receive` called with the publications on a key from now on."""

    @abstractmethod
    def unsubscribe(self, key: str) -> None:
        """Take no more from a key."""

    @abstractmethod
    def subscribed(self, key: str) -> bool:
        """True if there is a subscriber to a key, as far as is known here at present."""

    @abstractmethod
    def ask(self, key: str, payload: bytes, timeout: float, wanted: Wanted = any_reply) -> Reply | None:
        """Ask all that answer on a key: the first reply that is wanted, else the first of all; None without one.

        Blocks for at most `timeout` seconds.
        """

    @abstractmethod
    def answer(self, key: str, handle: Handle) -> None:
        """Have `handle` answer the questions that others ask on a key."""

    @abstractmethod
    def reachable(self) -> set[str]:
        """The identities of the others to which there is a direct connection now."""
