"""From launching ensembles to a graph that runs on all of them: joining, mapping and distributing, the first output.

Each ensemble is an OS process on this machine; a chain of SQs goes through all of them. Afterwards, what graphs of more
and more SQs take until they are ready on ensembles that are there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.measure import Effort, Failure, Row, Say, at_most
from benchmarks.system import System, program

SQS_PER_ENSEMBLE = 10
ENSEMBLES = (2, 10, 30)
SQS = (100, 1_000, 10_000)
"""Of the graphs that are made ready on 2 ensembles."""
CEILING_START = at_most(30.0)
"""Seconds, of the most ensembles."""

CEILING_READY = at_most(5.0)
"""Seconds, of the most SQs: longer than an ensemble may be silent, so what it does then must be much shorter."""

CHAIN = """\
from ticktalk import GRAPHify, SQify

@SQify
def step(x):
    return x + 1

@GRAPHify
def chain(trigger):
    x = trigger
    for ensemble in range(ENSEMBLES):
        with TTConstraint(name=f"e{ensemble}"):
            for k in range(SQS):
                x = step(x)
    return x
"""


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """Few and many ensembles, few and many SQs."""
    for ensembles in ENSEMBLES[:2] if effort.quick else ENSEMBLES:
        say(f"{ensembles} ensembles")
        yield started(ensembles)
    with System({"e0": [], "e1": []}) as system:
        for sqs in SQS[:2] if effort.quick else SQS:
            say(f"{sqs:,} SQs")
            graph = program(CHAIN, f"chain_{sqs}", ENSEMBLES=2, SQS=sqs // 2)
            began = time.monotonic()
            system.manager.instantiate_and_map_graph(graph)
            ready = time.monotonic() - began
            yield Row(
                f"{sqs:,} SQs on 2 ensembles, until ready",
                [ready],
                "s",
                ours=f"{ready / sqs * 1e6:,.0f} us an SQ",
                floor=CEILING_READY if sqs == max(SQS) else None,
            )


def started(ensembles: int) -> Row:
    """From the first launch to the first output."""
    sqs = ensembles * SQS_PER_ENSEMBLE
    graph = program(CHAIN, "chain", ENSEMBLES=ensembles, SQS=SQS_PER_ENSEMBLE)
    with System({f"e{number}": [] for number in range(ensembles)}) as system:
        relayed = sum(not e["direct"] for e in system.manager.status()["ensembles"])
        state = system.manager.instantiate_and_map_graph(graph)
        hosts = set(state.host_of.values())
        ready = time.monotonic()
        (output,) = system.run(graph, settle=60.0)
        joined, first = system.joined, system.first_output
    if output.value != sqs + 1 or len(hosts) != ensembles:
        raise Failure(f"the chain gave {output.value!r} on {len(hosts)} ensembles")
    return Row(
        f"{ensembles} ensembles, {sqs} SQs: from launch to first output",
        [first - system.launched],
        "s",
        ours=(
            f"join {joined - system.launched:.2f}, ready {ready - joined:.2f}, first output {first - ready:.2f} s;"
            f" {relayed} relayed"
        ),
        floor=CEILING_START if ensembles == max(ENSEMBLES) else None,
    )
