"""The payloads of messages about memory that the ensembles of one machine share (`physical/memory/`)."""

from __future__ import annotations

import msgspec

from ticktalk.ranges import Count, EnsembleName, Name


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """Memory in which an ensemble's values can be read: under which descriptor a process has it, and by which row."""

    name: EnsembleName
    boot_id: Name
    process: Count
    descriptor: Count
    nonce: bytes
    row: Count


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """An ensemble reads in a memory that it was offered."""

    name: EnsembleName
    nonce: bytes
    row: Count


class Settle(msgspec.Struct, frozen=True, array_like=True):
    """Values in a memory that were sent to an ensemble long ago, by place and mark; those it has not got are lost."""

    name: EnsembleName
    nonce: bytes
    places: list[tuple[Count, Count]]
