"""What mapping costs: 10,000 SQs on 1,000 ensembles, how time grows, and how far `heft` is from proven optima.

The quality needs OR-Tools and some minutes: `python -m benchmarks.mapping --quality`.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from benchmarks.measure import Effort, Row, Say, at_most, clocks, lesser_since
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTArc, TTDestination, TTPort
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec, LinkSpec
from ticktalk.mapping.heft import heft
from ticktalk.mapping.schedule import MappingProblem, Objective

CEILING_SECONDS = at_most(30.0)
CEILING_GROWTH = at_most(1.5)
"""Of the time per SQ and ensemble, from a quarter of both to all of them."""
QUALITY_CEILING = 0.10


def problem_of(sqs: int, ensembles: int, links: int, seed: int = 1) -> MappingProblem:
    """A random graph with about 2 arcs an SQ, each SQ with costs of its own; hosts of many speeds and cores."""
    chance = random.Random(seed)
    nodes = [TTSQ(f"f{k}-1", f"f{k}", arcs=[TTArc()]) for k in range(sqs)]
    for k, node in enumerate(nodes):
        for source in {chance.randrange(max(0, k - 200), k) for _ in range(chance.choice([1, 2, 3]))} if k else ():
            node.ports.append(TTPort(str(len(node.ports))))
            nodes[source].arcs[0].to.append(TTDestination(node.name, len(node.ports) - 1))
    hosts = tuple(
        EnsembleSpec(
            f"e{k}", speed=Fraction(chance.randint(5, 80), 10), cores=chance.choice([1, 2, 4, 8]), memory=10**9
        )
        for k in range(ensembles)
    )
    pairs = {(f"e{one}", f"e{other}") for one, other in (chance.sample(range(ensembles), 2) for _ in range(links))}
    costs = {
        node.function: CostSpec(chance.randint(500, 20_000), chance.randint(10, 5_000), chance.randint(1, 10**7))
        for node in nodes
    }
    return MappingProblem(
        TTGraph("g", sqs=nodes),
        DeploymentFile(
            "bench",
            hosts,
            {(min(pair), max(pair)): LinkSpec(500, Fraction(10**7)) for pair in pairs},
            LinkSpec(2_000, Fraction(1_250_000)),
            costs,
        ),
    )


def seconds(sqs: int, ensembles: int, objective: Objective) -> tuple[float, str]:
    """What making the problem and mapping it takes, and what comes of it."""
    began = clocks()
    plan = heft(problem_of(sqs, ensembles, 2 * ensembles), objective)
    took = lesser_since(began)
    return took, f"{float(plan.value) / 1000:.1f} ms, {plan.gap:.1%} above the bound"


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """A quarter of the SQs and ensembles, then all of them."""
    for objective in Objective:
        say(f"mapping for {objective}")
        sqs, ensembles = (2_000, 200) if effort.quick else (10_000, 1_000)
        quarter, _ = seconds(sqs // 4, ensembles // 4, objective)
        whole, plan = seconds(sqs, ensembles, objective)
        size = f"{sqs:,} SQs on {ensembles:,} ensembles"
        yield Row(f"{size}, {objective}", [whole], "s", ours=plan, floor=CEILING_SECONDS)
        yield Row(
            f"{size} over a quarter of both, {objective}, per SQ and ensemble",
            [whole / quarter / 16],
            floor=CEILING_GROWTH,
        )


def quality() -> float:
    """The mean distance of `heft` from the proven optimum on graphs of 6 to 12 SQs."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "mapping"))
    from problems import random_problem

    from ticktalk.mapping.optimal import optimal

    gaps = []
    for seed in range(140):
        problem = random_problem(seed, 6 + seed % 7)
        best = optimal(problem, limit=60)
        if best.proven:
            gaps.append(heft(problem).latency / best.latency - 1)
    print(f"heft on {len(gaps)} graphs: {statistics.mean(gaps):.2%} above the optimum, at most {max(gaps):.2%}")
    return statistics.mean(gaps)


if __name__ == "__main__":
    sys.exit(int(quality() > QUALITY_CEILING) if "--quality" in sys.argv else __doc__)
