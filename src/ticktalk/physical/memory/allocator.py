"""Settings of the C allocator for a process that passes arrays on."""

from __future__ import annotations

import ctypes
import sys

KEPT = 64 << 20
"""Bytes of freed memory that stay with the process for the next array."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LONGEST = 32 << 20  # the largest value that glibc takes for `_M_MMAP_THRESHOLD`


def keep_memory() -> None:
    """Let freed memory be used again before it is given back.

    Otherwise every long array gets fresh pages, and faulting them in costs more than copying the array.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _LONGEST)
            mallopt(_M_TRIM_THRESHOLD, KEPT)
