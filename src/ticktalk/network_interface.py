"""What the runtime asks of a network, whichever it is: simulated, or Zenoh's.

An ensemble sends control messages to the processes of another. It publishes on keys, which others subscribe to: a token
goes on the key of its arc. It asks questions on keys, and answers those of others. `network_keys` has the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ticktalk.messages import Message


class Question(Protocol):
    """A question that another process asked, to be answered or refused once.

    Attributes:
        payload: what is asked.
    """

    payload: bytes

    def answer(self, answer: bytes) -> None:
        """Answer it."""

    def refuse(self, reason: str) -> None:
        """Refuse it; the requester is shown the reason."""


Handle = Callable[[Question], None]
"""Takes a question, and answers it at once or later; called in a thread of the network's, so it must not block."""

Receive = Callable[[Any, Any], None]
"""`(payload, attached)`: takes a publication; called in a thread of the network's, so it must not block."""

Join = Callable[[list[Any]], Any]
"""Makes one payload of parts that were published for themselves."""

Answer = tuple[bool, bytes]
"""`(True, answer)`, or `(False, reason)` when the question was refused."""


class TTNetworkInterface(Protocol):
    """The network as one ensemble sees it: simulated (`TTNetworkInterfaceSim`) or real (`TTNetworkInterfaceZenoh`).

    What one ensemble sends to another, or publishes on one key, arrives in that order or is lost. Only `ask` blocks.
    """

    @property
    def identity(self) -> str:
        """What this end of the network is called in `reachable`."""

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message to a process of an ensemble."""

    def publish(self, key: str, part: Any, join: Join | None = None, to: Sequence[str] | None = None) -> None:
        """Publish on a key.

        Args:
            key: where.
            part: the payload; or what gives, when it is sent, one or more of them, each with what is attached to it;
                or, with `join`, what may become one payload with other parts that wait beside it.
            join: makes the payload.
            to: the ensembles that the payload is for, where that is known; a network may bring it to others, too.
        """

    def subscribe(self, key: str, receive: Receive) -> None:
        """Have `receive` called with what others publish on a key from now on."""

    def unsubscribe(self, key: str) -> None:
        """Take no more from a key."""

    def subscribed(self, key: str) -> bool:
        """Whether somebody subscribes to a key, as far as is known here at present."""

    def ask(self, key: str, payload: bytes, timeout: float) -> Answer | None:
        """Ask a question: the answer, or None when nobody answers within `timeout` seconds. Blocks."""

    def answer(self, key: str, handle: Handle) -> None:
        """Have `handle` answer the questions that others ask on a key."""

    def reachable(self) -> set[str]:
        """The identities of the others to which there is a direct connection now."""
