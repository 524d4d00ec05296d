"""The comparison of a replay with its recording, and the text of a difference."""

from __future__ import annotations

from typing import Any, NamedTuple

from ticktalk.durations import interval_and_ticks
from ticktalk.json_text import shown_repr, stable_repr
from ticktalk.records import Deadline, Decided, Sent, TokenLeft
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.values.classes import as_data
from ticktalk.values.codec import decode_value

Compared = Sent | Decided | Deadline | TokenLeft


class Departure(NamedTuple):
    """Something that was otherwise in the recording.

    Attributes:
        tick: when, in the recording; INFINITY: at its end.
        sq: at which SQ.
        what: a sentence.
    """

    tick: Tick
    sq: str
    what: str

    def __str__(self) -> str:
        return f"{self.sq}: {self.what}"


def same_value(one: bytes, other: bytes) -> bool:
    """True if two encoded values are the same; sets may have their members in any order."""
    if not (one and other):  # one was too long to be recorded
        return one == other
    return one == other or stable_repr(decode_value(one, as_data)) == stable_repr(decode_value(other, as_data))


def content_of(record: Deadline | TokenLeft | Compared) -> tuple[Any, ...]:
    """The facts on which two notes of a deadline, or of a token that leaves, have to agree."""
    if isinstance(record, TokenLeft):
        return record.start, record.stop, record.why, record.missing
    assert isinstance(record, Deadline)
    return record.start, record.stop, record.due, record.how


def put_off(record: Deadline | TokenLeft) -> bool:
    """True if the time of something means nothing: tokens that can meet no other are evicted at leisure."""
    return isinstance(record, TokenLeft) and record.why == "evicted"


def same_tokens(one: list[int], other: list[int]) -> bool:
    """True if two sets hold the same tokens, as far as their numbers are known."""
    return len(one) == len(other) and all(a == b or not a or not b for a, b in zip(one, other, strict=True))


def _interval(record: Sent | Decided | Deadline | TokenLeft) -> str:
    start, stop = record.start, record.stop
    return interval_and_ticks(None if start == NEG_INFINITY else int(start), None if stop == INFINITY else int(stop))


def told(record: Decided | Deadline | TokenLeft | Compared) -> str:
    """A note as a sentence."""
    if isinstance(record, Decided):
        return f"{record.sq} fires in {_interval(record)}, on its tokens {record.tokens}"
    if isinstance(record, Deadline):
        return f"the deadline of {_interval(record)} at {record.due} is {record.how}"
    if isinstance(record, TokenLeft):
        return f"a token of {_interval(record)} leaves ({record.why})"
    return shown(record)


def shown(token: Sent) -> str:
    """A token as text."""
    text = shown_repr(decode_value(token.value, as_data)) if token.value else "(too long to be recorded)"
    return f"{text if len(text) <= 100 else text[:100] + '...'} in {_interval(token)}"
