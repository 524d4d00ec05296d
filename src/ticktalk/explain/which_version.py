"""The versions of a graph that was replaced while it ran: which of them an explanation is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from ticktalk.errors import TTError
from ticktalk.time import Tick


class Since(Protocol):
    """A version of a graph.

    Attributes:
        since: the root tick from which on its streams fired; of the first one, the start.
    """

    @property
    def since(self) -> Tick: ...


V = TypeVar("V", bound=Since)
T = TypeVar("T")


def version_at(versions: Sequence[V], tick: Tick) -> V:
    """The version that counted at a root tick."""
    return [version for version in versions if version.since <= tick or version is versions[0]][-1]


def of_any(versions: Sequence[V], tick: Tick, explain: Callable[[V], T]) -> tuple[V, T]:
    """The explanation of a token that holds at a root tick, which may be of the version before a switch or after it.

    Given too is of which version it is.

    Raises:
        TTError: no version has it; the error is that of the version that counted then.
    """
    chosen = version_at(versions, tick)
    failures: list[TTError] = []
    for version in (chosen, *(each for each in versions if each is not chosen)):
        try:
            return version, explain(version)
        except TTError as error:
            failures.append(error)
    raise failures[0]
