"""All that a replay needs to know of a run, besides its records."""

from __future__ import annotations

from importlib.metadata import version

import msgspec

from ticktalk.graph.graph import TTGraph
from ticktalk.payloads import StartContext
from ticktalk.replacement import title_of
from ticktalk.values.codec import encoded

RULES = 1
"""The number of the rules by which runs are recorded. 0: tokens that nobody met left when others came."""


class Setup(msgspec.Struct, frozen=True):
    """One start of a graph, as it was recorded.

    Attributes:
        version: of TickTalk.
        driver: "simulation" or "devices".
        graph: the graph, as its JSON file has it; its clocks are in it.
        name: the graph's name in the run.
        context: the number of the start.
        start_tick: the root tick at which it started.
        until: the root tick from which on no stream fired; None: as long as their windows lasted.
        inputs: by input, its value as MessagePack.
        host_of: the ensemble of each SQ at the start.
        eviction_bound: the root ticks after which a waiting token went.
        options: what was asked for in the run, by option.
        outputs_only: the recording has the outputs of the start, and nothing that led to them.
        takes_over: it is a new version of a graph that runs, which may take over (`records.TookOver` says when).
        rules: the number of the rules (`RULES`); a replay by others may depart.
    """

    version: str
    driver: str
    graph: str
    name: str
    context: int
    start_tick: int
    until: int | None
    inputs: dict[str, bytes]
    host_of: dict[str, str]
    eviction_bound: int
    options: dict[str, str] = {}
    outputs_only: bool = False
    takes_over: bool = False
    rules: int = 0

    @property
    def title(self) -> str:
        """The graph's name as people know it."""
        return title_of(self.name)


def setup_of(
    start: StartContext,
    graph: TTGraph,
    host_of: dict[str, str],
    driver: str,
    eviction_bound: int,
    options: dict[str, str],
    takes_over: bool = False,
) -> Setup:
    """The setup of a start."""
    inputs = {name: bytes(encoded(value)) for name, value in start.inputs.items()}
    text = graph.to_json().decode()
    return Setup(
        version("ticktalk"),
        driver,
        text,
        start.graph,
        start.context,
        start.start_tick,
        start.until,
        inputs,
        dict(host_of),
        eviction_bound,
        options,
        takes_over=takes_over,
        rules=RULES,
    )
