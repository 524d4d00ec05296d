"""An SQ is drained while processes of a starved machine stand still for up to 1.9 s each; run with fixed hashes.

Prints a line of JSON for each seed: what is wrong, if anything.
"""

from __future__ import annotations

import json
import logging
import random
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # where `programs` is

from played_system import MS, S, World, played

from programs import HEAD
from ticktalk.language.compiler import compile_source
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import DeployRequest, DrainRequest, StartRequest

SOURCE = """@SQify
def both(x, y):
    return (x, y)
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        n = count(trigger, TTPeriod=20000)
    with TTConstraint(name=["b", "d"]):
        t = total(n)
    with TTConstraint(name="c"):
        return both(n, t)
"""


def drained(seed: int) -> str:
    """What is lost or wrong; empty: nothing is."""
    choice = random.Random(seed)
    graph = compile_source(HEAD + SOURCE, "g.py", "g")
    with played(choice):
        world = World(choice)
        for name in "abc":
            world.start(name)
        world.run(600 * MS)
        mapping = {"count-1": "a", "total-1": "b", "both-1": "c"}
        world.request(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(graph, mapping=mapping))
        world.request(RuntimeMsg.EXECUTE_GRAPH, StartRequest("g", {}))
        world.run(1500 * MS)
        world.start("d")
        world.run(2200 * MS)
        reply = world.request(RuntimeMsg.DRAIN, DrainRequest("b"))
        for name in choice.sample("abcd", choice.randrange(1, 4)):
            host = world.ensembles[name].host
            begin = choice.randrange(40 * MS)
            world.at(begin, None, host.stand, choice.choice(["stopped", "busy"]))
            world.at(begin + choice.randrange(200 * MS, 1900 * MS), None, host.stand, "")
        world.run(9 * S)
        if not reply.done() or reply.exception() is not None:
            return f"it is not drained: {reply}"
        gone = [str(event) for _, event in world.told if "is gone: no heartbeat" in str(event)]
        if gone:
            return "gone"
        counts = world.process.requests.reports.counts("g")
        lost = {sq: kinds for sq, kinds in counts.items() if {"lost", "stale", "overflow"} & kinds.keys()}
        if lost:
            return f"{lost}"
        rows = [tuple(json.loads(row)["value"]) for row in world.state.graphs["g"].rows]
        wanted = [(n, n * (n + 1) // 2) for n in range(1, len(rows) + 1)]
        return "" if rows == wanted and len(rows) > 200 else f"{len(rows)} outputs, and the last one is {rows[-1]}"


def main() -> None:
    """Run these seeds; `A-B`: from A on, up to B."""
    logging.disable(logging.CRITICAL)
    seeds = [word.partition("-") for word in sys.argv[1:]]
    for seed in [seed for first, _, last in seeds for seed in range(int(first), int(last or first) + 1)]:
        print(json.dumps({"seed": seed, "wrong": drained(seed)}), flush=True)


if __name__ == "__main__":
    main()
