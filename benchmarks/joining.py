"""From launching ensembles to a graph that runs on all of them: joining, mapping and distributing, the first output.

Each ensemble is an OS process on this machine; a chain of SQs goes through all of them. Then the same by
`ticktalk run`, which forks them, with a stream. Afterwards, what graphs of more and more SQs take until they are ready
on ensembles that are there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

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

OWN = 50
"""Ensembles of `ticktalk run`."""

CEILING_RUN = at_most(20.0)
"""Seconds, of those."""

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


STREAM = """\
from ticktalk import GRAPHify, SQify, STREAMify

@STREAMify
def source(trigger):
    return trigger

@SQify
def step(x):
    return x + 1

@GRAPHify
def star(trigger):
    found = []
    values = source(trigger, TTPeriod=500_000)
    for ensemble in range(ENSEMBLES):
        with TTConstraint(name=f"e{ensemble}"):
            found.append(step(values))
    return found
"""


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """Few and many ensembles, few and many SQs."""
    for ensembles in ENSEMBLES[:2] if effort.quick else ENSEMBLES:
        say(f"{ensembles} ensembles")
        yield started(ensembles)
    say(f"{OWN} ensembles of `ticktalk run`")
    yield ran(10 if effort.quick else OWN)
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


def ran(ensembles: int) -> Row:
    """From the call of `ticktalk run` to the first output that needs all ensembles."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "star.py")
        file.write_text(STREAM.replace("ENSEMBLES", str(ensembles)))
        command = [sys.executable, "-m", "ticktalk", "run", str(file), "--until", "3s", "--jsonl"]
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            first = time.monotonic() - began
            rows = process.stdout.read().splitlines()
            said = process.stderr.read()
        ended = time.monotonic() - began
    if process.returncode or not rows or "is gone" in said:
        raise Failure(f"`ticktalk run` with {ensembles} ensembles: {said}")
    return Row(
        f"{ensembles} ensembles of `ticktalk run`: until the first output",
        [first],
        "s",
        ours=f"ended after {ended:.2f} s with 3 s of stream",
        floor=CEILING_RUN if ensembles == OWN else None,
    )
