"""The keys on which things are published and asked, on every network."""

from __future__ import annotations

import functools
from urllib.parse import quote

HELLO = "ticktalk/hello"
"""May this ensemble join? Asked before it opens its own session."""

JOIN = "ticktalk/join"
"""An ensemble joins."""

COMMAND = "ticktalk/command"
"""Questions of commands to the manager."""

WHOLE = "ticktalk/whole"
"""Subscribed to by an ensemble as long as it wants long values themselves, not where they are in shared memory."""

OUTPUT = "ticktalk/output"
"""Outputs on their way to the manager, in simulation; on devices they are control messages."""


def control_key(ensemble: str) -> str:
    """The key of control messages for an ensemble."""
    return f"ticktalk/ensemble/{ensemble}"


@functools.lru_cache(4096)
def arc_key(graph: str, arc: str) -> str:
    """The key of an arc: one publication reaches every ensemble that consumes it."""
    return f"ticktalk/arc/{key_part(graph)}/{key_part(arc)}"


def outputs_key(graph: str) -> str:
    """The key on which the manager publishes a graph's outputs, for commands that follow them."""
    return f"ticktalk/outputs/{key_part(graph)}"


def key_part(name: str) -> str:
    """`name` as one part of a key: graphs are called as files are, keys know wildcards."""
    return quote(name, safe="")
