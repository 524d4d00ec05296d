"""The rooms in which control messages wait for the timekeeper: whose share one, and how much finds room there."""

from __future__ import annotations

from typing import NamedTuple

from ticktalk.network_keys import Path

MESSAGES = 10_000
"""Messages of one sender on one path that may wait to be taken in; beyond that its stalest goes, counted."""

MESSAGES_BYTES = 64 << 20
"""Bytes of such messages; the latest is kept however long it is."""

CONTROL_BYTES = 512 << 20
"""The same on the path of control messages: the states of instances that move come in many of them."""


class Sender(NamedTuple):
    """Whose messages share a room: an ensemble's on one path, or all that are not proven to be anybody's."""

    name: str = ""
    path: Path = Path.CONTROL


def room(sender: Sender) -> int:
    """The bytes of messages of a sender that may wait."""
    return CONTROL_BYTES if sender.name and sender.path is Path.CONTROL else MESSAGES_BYTES
