"""Files that users give: programs, graphs, deployments."""

from __future__ import annotations

import errno
import io
import os
import stat
import tokenize
from pathlib import Path

LARGEST_FILE = 1 << 28
"""Bytes: what is longer is no program, no graph and no deployment."""


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: it cannot be read, is longer than `LARGEST_FILE`, or is a pipe, which might never end.
    """
    # Opening a pipe must not wait for its writer. On Windows bytes would be read as text.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no file but a pipe or a device: save its content in a file first")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"it is longer than {LARGEST_FILE >> 20} MiB")
    return content


def read_source_text(path: str | Path) -> str:
    """The text of a Python file, in the encoding that it gives.

    Raises:
        OSError: as `read_bytes`.
        SyntaxError: it gives no encoding that there is.
        UnicodeDecodeError: it is not in that encoding.
    """
    content = io.BytesIO(read_bytes(path))
    encoding, _ = tokenize.detect_encoding(content.readline)
    content.seek(0)
    return io.TextIOWrapper(content, encoding).read()
