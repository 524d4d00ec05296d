"""The keys on which things are published and asked, on every network."""

from __future__ import annotations

import enum
import functools
from urllib.parse import quote

GREET = "ticktalk/greet"
"""The question for the manager's name, before any other: its answer has what proves this one new."""

HELLO = "ticktalk/hello"
"""May this ensemble join? Asked before it opens its own session."""

JOIN = "ticktalk/join"
"""An ensemble joins."""

RESUME = "ticktalk/resume"
"""An ensemble that has joined asks another start of the manager whether it is known as it is."""

COMMAND = "ticktalk/command"
"""Questions of commands to the manager."""

WHOLE = "ticktalk/whole"
"""Subscribed to by an ensemble as long as it wants long values themselves, not where they are in shared memory."""

NOBODY = "ticktalk/nobody"
"""Subscribed to by nobody: what is published there goes nowhere."""

OUTPUT = "ticktalk/output"
"""Outputs on their way to the manager, in simulation; on devices they are control messages."""


class Path(enum.Enum):
    """A path of messages: no message waits for messages on another path."""

    HEARTBEATS = "heartbeats"
    """Before all else. A stale heartbeat is of no use, so it is dropped where there is no room."""

    CONTROL = "control"
    """Kept for a receiver that stands still; none waits for messages to another receiver."""

    OUTPUTS = "outputs"
    """Messages of firings to the manager. Kept for it while it stands still, up to a bound."""

    RECORDS = "records"
    """Records, to the manager. Kept for it up to a bound; beyond that it is missing in the recording."""

    TOKENS = "tokens"
    """Publications that reach several receivers. One that stands still loses them; the others do not wait for it."""

    __hash__ = object.__hash__  # tables by path are looked into several times a token, and Enum's is written in Python


def control_key(ensemble: str) -> str:
    """The key of control messages for an ensemble."""
    return f"ticktalk/ensemble/{ensemble}"


@functools.lru_cache(4096)
def arc_key(graph: str, arc: str) -> str:
    """The key of an arc: one publication reaches every ensemble that consumes it."""
    return f"ticktalk/arc/{key_part(graph)}/{key_part(arc)}"


def apart_key(ensemble: str) -> str:
    """The key of tokens for one ensemble alone, while another receiver of theirs stands still."""
    return f"ticktalk/tokens/{ensemble}"


def key_part(name: str) -> str:
    """`name` as one part of a key: graphs are called as files are, keys know wildcards."""
    return quote(name, safe="")
