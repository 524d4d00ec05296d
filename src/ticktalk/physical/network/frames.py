"""Frames between ensembles: the version, and the bounds of their length.

A frame begins with a byte that names its version. The rest is MessagePack, parsed without running anything:
`control_frames` has messages, `token_frames` tokens.
"""

from __future__ import annotations

from ticktalk.messages import ROWS
from ticktalk.network_keys import Path
from ticktalk.values.codec import Data

VERSION = 1

LONG = 1 << 14
"""Bytes from which on a value is not copied where that can be helped."""

LONGEST = {path: max(row.most for row in ROWS.values() if row.crosses and row.path is path) for path in Path}
"""Bytes of a frame on a path: those of the longest message that travels there."""

HEAD = bytes([VERSION])
"""The first bytes of a frame."""


class FrameError(ValueError):
    """Bytes that are no frame of this version.

    Attributes:
        kind: the counter for it (`counters.KINDS`).
    """

    kind = "bad_frames"


class InvalidError(FrameError):
    """A frame with impossible content: a number out of range, a bad name, an empty interval."""

    kind = "invalid"


def body(frame: Data) -> memoryview:
    """The data after the head.

    Raises:
        FrameError: the frame is too long, or of another version.
    """
    check_frame_length(frame)
    if not frame or frame[0] != VERSION:
        raise FrameError(f"a frame of version {frame[0] if frame else None}, not {VERSION}")
    return memoryview(frame)[1:]


def check_frame_length(data: Data, path: Path = Path.CONTROL) -> None:
    """Take no more than a frame may have on a path.

    Raises:
        FrameError: there is more.
    """
    longest = LONGEST[path]
    if len(data) > longest:
        raise FrameError(f"{len(data)} bytes, longer than {longest}")
