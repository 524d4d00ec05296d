"""What the runtime asks of a network, whichever it is: simulated, or Zenoh's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


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

Answer = tuple[bool, bytes]
"""`(True, answer)`, or `(False, reason)` when the question was refused."""
