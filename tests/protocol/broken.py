"""An invariant that does not hold."""

from __future__ import annotations


class BrokenError(AssertionError):
    """An invariant does not hold; `which` names it."""

    def __init__(self, which: str, what: str) -> None:
        super().__init__(f"{which}: {what}")
        self.which = which


def hold(which: str, holds: bool, what: str) -> None:
    """Raise if an invariant does not hold."""
    if not holds:
        raise BrokenError(which, what)
