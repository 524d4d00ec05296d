"""Results and errors of firings as they cross from a worker to the timekeeper.

A result is a list: empty (nothing is sent), `[parts]` with `[path, value, shown]` for each part, or `[paths, array]`.
The latter is one MessagePack array of the parts at these paths (None: all wanted paths).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from ticktalk.engine.execution import TTSQExecute, firing_error
from ticktalk.engine.forwarding import unpacked
from ticktalk.json_text import value_field
from ticktalk.payloads import FiringError
from ticktalk.time import Tick, TTEmpty
from ticktalk.values.codec import Encoded, Parts, encode_value

TOGETHER = 16 << 20
"""Bytes of arrays up to which the parts of one result go as one array."""

Encode = Callable[[Any], Any]
"""Makes MessagePack, or a mark in an answer, of a value."""


class Sends(Protocol):
    """The parts of a result that go anywhere."""

    @property
    def all_paths(self) -> tuple[tuple[int, ...], ...]:
        """The paths of the parts."""

    @property
    def unpack(self) -> list[Any] | None:
        """The shape of the result; None: it is not unpacked."""


def encoder(paths: Sequence[Any], shape: Any, encode_part: Encode = encode_value) -> Callable[[Any], list[Any]]:
    """A function that makes the result to send of a value that a body returned.

    Args:
        paths: of each wanted part, its path and whether it is an output.
        shape: how the value is unpacked; None: it is not.
        encode_part: encodes one part.
    """
    wanted = [(tuple(path), output) for path, output in paths]
    together = len(wanted) > 1 and not any(output for _, output in wanted)
    whole = [path for path, _ in wanted]
    flat = together and whole == [(index,) for index in range(len(shape or ()))]

    def encode_whole(value: Any) -> list[Any]:
        if value.__class__ is TTEmpty:
            return []
        return [[[(), encode_part(value), value_field(value) if wanted[0][1] else None]]]

    if whole == [()] and shape is None:
        return encode_whole

    def encode(value: Any) -> list[Any]:
        if flat and value.__class__ in (list, tuple) and len(value) == len(whole):
            parts = list(value)
        else:
            by_path = unpacked(value, shape)
            parts = [by_path[path] for path in whole]
        kinds = set(map(type, parts))
        if together and not _too_long(kinds, parts):
            if TTEmpty not in kinds:
                return [None, encode_part(parts)]
            there = [(path, part) for path, part in zip(whole, parts, strict=True) if part.__class__ is not TTEmpty]
            return [[path for path, _ in there], encode_part([part for _, part in there])] if there else []
        encoded = []
        for (path, output), part in zip(wanted, parts, strict=True):
            if part.__class__ is TTEmpty:
                continue
            encoded.append([path, encode_part(part), value_field(part) if output else None])
        return [encoded] if encoded else []

    return encode


def _too_long(kinds: set[type], parts: list[Any]) -> bool:
    """True if one array of all parts would be a very long frame."""
    if not any(hasattr(kind, "nbytes") for kind in kinds):
        return False
    return sum(getattr(part, "nbytes", 0) for part in parts) > TOGETHER


def parts_of(result: list[Any], sends: Sends) -> Parts | Encoded:
    """A result that is not empty, for the forward part of its SQ."""
    if len(result) == 2:
        paths, data = result
        return Parts(together=(sends.all_paths if paths is None else tuple([tuple(path) for path in paths]), data))
    if sends.unpack is None and len(result[0]) == 1:
        _, data, shown = result[0][0]
        return Encoded(data, shown)
    return Parts({tuple(path): Encoded(data, shown) for path, data, shown in result[0]})


def sizes(parts: Parts | Encoded | None) -> list[int]:
    """The sizes of a result's tokens, in bytes."""
    if isinstance(parts, Encoded):
        return [len(parts.data)]
    return [] if parts is None else [len(part.data) for part in parts.by_path.values()]


def failure(execute: TTSQExecute, error: BaseException, start: Tick, stop: Tick) -> FiringError:
    """The error of a firing, with text that can be encoded."""
    try:
        told = firing_error(execute.sq, execute.ensemble, execute.code, error, start, stop)
    except BaseException:  # a user's `__str__` or `__repr__` may raise anything
        begin, end = (int(tick) if abs(tick) != float("inf") else None for tick in (start, stop))
        what = f"{type(error).__name__} (it cannot be shown: its text raises, too)"
        told = FiringError(execute.name, execute.ensemble, begin, end, execute.code.file, execute.sq.line, what)
    return sendable(told)


def sendable(error: FiringError) -> FiringError:
    """`error` with text that can be encoded: a message may hold lone surrogates."""
    return msgspec.structs.replace(error, exception=text(error.exception), traceback=text(error.traceback))


def text(text: str) -> str:
    """`text` without characters that no encoding has."""
    return text.encode("utf-8", "backslashreplace").decode()
