"""A graph is replaced by itself, and its manager dies somewhere in that; run with fixed hashes, for seeds to be stable.

The new version may fail by itself after some instants: then the old one goes on.
Prints a line of JSON for each seed: the stage in which it died, and what is wrong, if anything.
"""

from __future__ import annotations

import json
import logging
import random
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # where `programs` is

import msgspec
from played_system import MS, S, World, played

from programs import HEAD
from ticktalk.language.compiler import compile_source
from ticktalk.manager.state import ReplaceState
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import DeployRequest, StartRequest
from ticktalk.replacement import ReplaceRequest

PERIOD = 100 * MS

SOURCE = """@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        n = count(trigger, TTPeriod=100000)
    with TTConstraint(name="b"):
        t = total(n)
    with TTConstraint(name="a"):
        return total(t)
"""

FAILS = """@SQify
def fails(n):
    return 1 // max(0, {last} - n)
"""


def in_plain_python(versions: list[int]) -> list[int]:
    """The outputs of instants that these versions computed, one after the other: a later one began with a copy."""
    found, states = [], dict[int, tuple[int, int, int]]()
    for version in versions:
        n, first, second = states.get(version) or states.get(version - 1, (0, 0, 0))
        n, first = n + 1, first + n + 1
        states[version] = n, first, second + first
        found.append(second + first)
    return found


BACK = 1000
"""From this seed on, the new version always fails, and the manager dies when the old one goes on, or shortly before."""

STAGES = ["prepare", "expect", "drain", "hold", "hand", "try", "place", "watch", "back"]

WRITTEN = 2000
"""From this seed on, the manager dies as soon as a stage is written: one after the other, by the seed.

Nobody has been told of that stage then; or some have, if it dies shortly after.
"""


def stage_written(world: World) -> str:
    """The stage of the replacement that the next manager would find."""
    found = world.disk.parts.get('["replacement","g"]')
    return "" if found is None else msgspec.msgpack.decode(found, type=ReplaceState).stage


def killed(seed: int) -> tuple[str, World]:
    """The stage in which the manager died, and the world five seconds after another one has followed."""
    choice = random.Random(seed)
    at = STAGES[seed % len(STAGES)] if seed >= WRITTEN else "back" if seed >= BACK else ""
    graph = compile_source(HEAD + SOURCE, "g.py", "g")
    bad = SOURCE.replace("        t = total(n)", "        t = total(n)\n        fails(n)")
    new = compile_source(HEAD + FAILS.format(last=choice.randrange(17, 25)) + bad, "g.py", "g")
    new = new if at == "back" else choice.choice([graph, new])
    with played(choice):
        world = World(choice, keeps=True)
        for name in ("a", "b"):
            world.start(name)
        world.run(600 * MS)
        world.request(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(graph))
        world.request(RuntimeMsg.EXECUTE_GRAPH, StartRequest("g", {}))
        world.run(2 * S)
        watch = 3 * S if at == "back" else 1 * S if at == "watch" else choice.choice([0, 1 * S])
        world.request(RuntimeMsg.REPLACE, ReplaceRequest(new, "g", watch=watch))
        if seed >= WRITTEN:
            while stage_written(world) not in STAGES[STAGES.index(at) :]:
                world.run(world.now + 100)
            world.run(world.now + choice.choice([0, choice.randrange(6 * MS)]))
        elif seed < BACK:
            world.run(world.now + choice.choice([choice.randrange(700 * MS), choice.randrange(490 * MS, 620 * MS)]))
        else:
            while not any(each.stage == "back" for each in world.state.replacements.values()):
                world.run(world.now + MS)
            world.run(world.now + choice.choice([choice.randrange(3 * MS), choice.randrange(500 * MS)]))
            if seed % 2:
                while world.state.replacements:
                    world.run(world.now + choice.choice([100, 300, 900]))
        replacement = world.state.replacements.get("g")
        world.kill_manager()
        world.run(world.now + choice.randrange(2 * S))
        world.follow_manager()
        world.run(world.now + 5 * S)
        world.log.flush()
    return "" if replacement is None else replacement.stage, world


def wrong(world: World) -> str:
    """What does not hold; empty: all does."""
    graphs: list[Any] = list(world.state.graphs.values())
    if world.state.replacements or [(graph.title, graph.state) for graph in graphs] != [("g", "running")]:
        return f"the graph does not run in one version: {[(graph.name, graph.state) for graph in graphs]}"
    (graph,) = graphs
    for name, ensemble in world.ensembles.items():
        mine = sorted(sq for sq, host in graph.host_of.items() if host == name)
        held = [(sorted(context.syncs), context.held) for context in ensemble.node.host.contexts.values()]
        if held != [(mine, set())]:
            return f"{name} has {held}, not {mine}"
    rows = [row for row in map(json.loads, world.disk.lines) if row["sq"] == "total-2"]
    if rows[-1]["start"] - rows[0]["start"] < world.now - 3 * S:  # the first one is of the first second
        return f"it stands still: {len(rows)} outputs"
    values, instants = [row["value"] for row in rows], [row["start"] + PERIOD // 4 for row in rows]
    missing = (instants[-1] - instants[0]) // PERIOD + 1 - len(rows)
    skipped = world.process.requests.reports.counts(graph.name).get("count-1", {}).get("skipped", 0)
    wanted = in_plain_python([row["context"] for row in rows])
    if values != wanted or instants != sorted(set(instants)) or missing or skipped:
        return f"an output is lost, or twice: {missing} are missing, {skipped} were skipped"
    return ""


def main() -> None:
    """Run these seeds; `A-B`: from A on, up to B."""
    logging.disable(logging.CRITICAL)
    seeds = [word.partition("-") for word in sys.argv[1:]]
    for seed in [seed for first, _, last in seeds for seed in range(int(first), int(last or first) + 1)]:
        stage, world = killed(seed)
        print(json.dumps({"seed": seed, "stage": stage, "wrong": wrong(world)}), flush=True)


if __name__ == "__main__":
    main()
