"""Plain values: numbers, texts and None, and what holds these. No operation on them runs code of a program."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from ticktalk.values.codec import PLAIN, Encoded

SCALARS = PLAIN - {Encoded}
"""Types of plain values that hold no others."""

HOLDERS: frozenset[type] = frozenset({dict, list, tuple, set, frozenset, deque})
"""Types of plain values that hold others."""


def is_scalar(value: Any) -> bool:
    """True for a plain value that holds no others."""
    return value.__class__ in SCALARS


def held_in(holder: Any) -> Iterable[Any]:
    """All values that a holder holds."""
    return (*holder, *holder.values()) if holder.__class__ is dict else holder
