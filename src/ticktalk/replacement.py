"""A graph that is replaced by another version of it while it runs: the request, the orders to ensembles, the result.

Ticks are those of the root clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ticktalk.graph.graph import TTGraph
from ticktalk.payloads import IdleReport
from ticktalk.ranges import MOST_STARTS, Count, EnsembleName, Name, RootTick, Value

if TYPE_CHECKING:
    from ticktalk.mapping.weights import Weights

WATCH = 10_000_000
"""Ticks for which a new version is watched, unless a request says otherwise."""

REST_LIMIT = 10_000_000
"""Ticks in which an old version has to come to rest."""


def version_name(title: str, number: int) -> str:
    """The name on ensembles of a version of a graph that people call `title`."""
    return f"{title}~{number}"


def title_of(name: str) -> str:
    """The name that people have for the graph of which ensembles have a version under this name."""
    return re.sub(r"~\d+\Z", "", name)


def is_version_name(name: str) -> bool:
    """True if a name is one that only versions have."""
    return re.search(r"~\d+\Z", name) is not None


class ReplaceRequest(msgspec.Struct):
    """Replace a graph by another version; `reply` gets the `Changes` when the new one has been watched, or the error.

    Attributes:
        name: which graph; None: the one that is called as the new version is.
        drop_state: SQs that go on without the state that they had.
        watch: ticks for which the new version is watched, and replaced by the old one if it fails.
        inputs: values for inputs that the old version did not have.
        mapping: SQ to ensemble; None: SQs stay where they are, as far as they may.
        weights: the costs of SQs by ensemble.
    """

    graph: TTGraph
    name: str | None = None
    drop_state: list[str] = []
    watch: int = WATCH
    inputs: Mapping[str, Any] = {}
    mapping: Mapping[str, str] | None = None
    weights: Weights | None = None
    reply: Future[Any] | None = None


class Changes(msgspec.Struct):
    """The differences between two versions of a graph, and what became of the state.

    Attributes:
        graph: what both are called.
        at: the tick from which on the streams of the new version fire.
        carried: the SQs that both have: they go on with their state.
        added, removed: the SQs that only the new, only the old version has.
        renamed: removed SQs that seem to have another name now; their state is not carried.
        dropped: by SQ, how many tokens waited there and have no place in the new version.
        as_set: streams that keep the period and phase that were set since the old version was deployed.
        as_written: streams that were set, too; the new program has others than the old one, and those count.
    """

    graph: str
    at: int = 0
    carried: list[str] = []
    added: list[str] = []
    removed: list[str] = []
    renamed: dict[str, str] = {}
    dropped: dict[str, int] = {}
    as_set: list[str] = []
    as_written: list[str] = []


class Switch(msgspec.Struct, frozen=True):
    """The streams of a graph fire no more from tick `at` on; its ensembles say how it stands, once `at` has come.

    Attributes:
        round: the number of the question.
        hold: nothing of it fires any more.
        cancel: it goes on after all; its streams run the instants since `at` that have passed meanwhile, late.
        since: (cancel) by stream, a tick that counts in place of `at`.
    """

    graph: Name
    at: RootTick
    round: Count = 0
    hold: bool = False
    cancel: bool = False
    since: dict[Name, RootTick] = {}


class Switched(msgspec.Struct, frozen=True):
    """The answer to `Switch`: a report of each context; a stream that waits for an instant does not count as busy.

    `fired`: by stream, its last instant. That may be later than the tick of the switch, of which it was told late.
    """

    graph: Name
    ensemble: EnsembleName
    round: Count
    reports: Annotated[list[IdleReport], msgspec.Meta(max_length=MOST_STARTS)] = []
    fired: dict[Name, RootTick] = {}


class TryStates(msgspec.Struct, frozen=True):
    """Values, by SQ, that are to come to SQs that are expected: see whether the classes there fit them."""

    graph: Name
    values: dict[Name, list[Value]]
