"""Mypy, as tests ask it what is wrong with a file."""

from __future__ import annotations

import sys

from mypy import api


def mypy_errors(*arguments: str) -> list[str]:
    """The lines in which mypy reports an error, in the order of files."""
    limit = sys.getrecursionlimit()
    try:
        out, err, _ = api.run([*arguments, "--no-error-summary"])
    finally:
        sys.setrecursionlimit(limit)  # mypy raises it for the whole process: programs that nest too deep would compile
    assert not err
    return [line for line in out.splitlines() if ": error:" in line]
