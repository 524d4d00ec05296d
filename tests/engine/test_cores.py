"""Bodies that take their time in simulation: against tables made by hand, and a model of its own in SimPy."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import simpy

from ticktalk import TTEnsemble, TTRuntimeManagerSim, compile_program
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec, LinkSpec, parse_deployment
from ticktalk.payloads import OutputToken
from ticktalk.simulation import cores

HEAD = "from ticktalk import *\n"


class Simulated:
    """A program under a deployment: the outputs, their arrivals at the manager, the counts."""

    def __init__(
        self,
        folder: Path,
        program: str | TTGraph,
        deployment: str | DeploymentFile,
        mapping: dict[str, str] | None = None,
        **components: Any,
    ) -> None:
        if isinstance(program, str):
            (folder / "prog.py").write_text(HEAD + program)
            program = compile_program(str(folder / "prog.py"))
        if isinstance(deployment, str):
            deployment = parse_deployment(deployment)
        self.env = simpy.Environment()
        self.tokens: list[OutputToken] = []
        self.errors: list[str] = []
        ensembles = [TTEnsemble(None, spec.name, components=components) for spec in deployment.ensembles]
        self.manager = TTRuntimeManagerSim(None, ensembles, self.env, deployment=deployment)
        self.manager.process.outputs.listeners.append(self.tokens.append)
        self.manager.process.errors.listeners.append(lambda error: self.errors.append(error.exception))
        self.graph = program
        self.manager.instantiate_and_map_graph(program, mapping=mapping)
        self.manager.execute_graph(program)
        self.timing = self.manager.simulation.timing

    def run(self, until: int | None = None) -> list[tuple[Any, int]]:
        self.manager.simulation.run(until)
        return [(token.value, token.arrival) for token in self.tokens]

    @property
    def counters(self) -> dict[str, dict[str, int]]:
        return self.manager.counters(self.graph)


ONE = """
ensembles:
- {name: a, speed: SPEED, cores: CORES}
costs:
  f: {time: 10ms}
  g: {time: 4ms}
  s: {time: 30ms}
"""


def one(speed: float = 1, cores: int = 1) -> str:
    return ONE.replace("SPEED", str(speed)).replace("CORES", str(cores))


FORK = """
@SQify
def f(x):
    return "f"
@SQify
def g(x):
    return "g"
@GRAPHify
def main(trigger):
    return f(trigger), g(trigger), f(trigger)
"""


@pytest.mark.parametrize(
    ("speed", "cores", "expected"),
    [
        (1, 1, [("f", 10_000), ("g", 14_000), ("f", 24_000)]),
        (1, 2, [("g", 4_000), ("f", 10_000), ("f", 14_000)]),
        (1, 3, [("g", 4_000), ("f", 10_000), ("f", 10_000)]),
        (3, 1, [("f", 3_334), ("g", 4_668), ("f", 8_002)]),
    ],
)
def test_first_come_first_served(tmp_path: Path, speed: float, cores: int, expected: list[tuple[str, int]]) -> None:
    program = FORK.replace("return f(trigger), g(trigger), f(trigger)", "f(trigger)\n    g(trigger)\n    f(trigger)")
    assert Simulated(tmp_path, program, one(speed, cores)).run() == expected


def test_a_tuple_takes_no_time_and_waits_for_no_core(tmp_path: Path) -> None:
    assert Simulated(tmp_path, FORK, one()).run() == [(("f", "g", "f"), 24_000)]


STREAM = """
@STREAMify
def s(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return (sq_state["n"], component("now")())
@GRAPHify
def main(trigger):
    return s(trigger, TTPeriod=PERIOD)
"""


def stream(tmp_path: Path, period: int, deployment: str, more: str = "") -> Simulated:
    made: list[Simulated] = []
    program = STREAM.replace("PERIOD", f"{period}{more}")
    made.append(Simulated(tmp_path, program, deployment, now=lambda: made[0].env.now))
    return made[0]


def test_a_body_sees_the_tick_at_which_it_starts_and_its_result_is_sent_at_its_end(tmp_path: Path) -> None:
    found = stream(tmp_path, 100_000, one())
    assert found.run(300_000) == [((1, 100_000), 130_000), ((2, 200_000), 230_000)]
    assert [(token.start, token.stop) for token in found.tokens] == [(75_000, 125_000), (175_000, 225_000)]


def test_instants_of_a_busy_instance_are_late_or_skipped(tmp_path: Path) -> None:
    # 30 ms every 20 ms, on two cores: an instance runs one firing at a time. The intervals end 5 ms after the instants.
    found = stream(tmp_path, 20_000, one(cores=2))
    # 20: runs to 50. 40: from 50 (late) to 80. 60: not by 80, its next instant: skipped. 80: at once to 110. And so on.
    assert found.run(200_000) == [
        ((1, 20_000), 50_000), ((2, 50_000), 80_000), ((3, 80_000), 110_000), ((4, 110_000), 140_000),
        ((5, 140_000), 170_000),
    ]  # fmt: skip
    assert [token.start for token in found.tokens] == [15_000, 35_000, 75_000, 95_000, 135_000]
    # At 170 the one of 160 begins, late; those of 60, 120 are skipped; that of 180 waits still.
    assert found.counters == {"s-1": {"late_starts": 3, "skipped": 2}}


def test_an_interval_longer_than_the_period_is_waited_for(tmp_path: Path) -> None:
    found = stream(tmp_path, 20_000, one(), ", TTDataIntervalWidth=60_000")
    found.run(100_001)
    # 60's interval ends at 90: it starts at 80, in time.
    assert [token.start for token in found.tokens] == [-10_000, 10_000]
    assert found.tokens[1].arrival == 80_000
    assert found.counters == {}


def test_stamped_when_it_runs(tmp_path: Path) -> None:
    found = stream(tmp_path, 20_000, one(), ', TTStamp="body"')
    found.run(100_000)
    # It runs from 20 to 50 and from 50 to 80: the middles are 35 and 65, the width 10.
    assert [(token.start, token.stop) for token in found.tokens] == [(30_000, 40_000), (60_000, 70_000)]


def test_slow_takes_effect_for_later_starts(tmp_path: Path) -> None:
    found = stream(tmp_path, 100_000, one())
    assert found.timing is not None
    cores = found.timing.cores_of("a")
    found.run(110_000)
    cores.slow(3)
    found.run(250_000)
    cores.slow(1)
    found.run(400_000)
    assert [token.arrival for token in found.tokens] == [130_000, 290_000, 330_000]
    with pytest.raises(ValueError, match="above 0"):
        cores.slow(0)


def test_results_in_flight_when_the_ensemble_dies_are_never_sent(tmp_path: Path) -> None:
    found = stream(tmp_path, 100_000, one())
    assert found.timing is not None
    found.run(210_000)
    found.timing.cores_of("a").fail()
    assert found.run(1_000_000) == [((1, 100_000), 130_000)]


def test_a_firing_in_flight_when_the_graph_is_stopped_is_not_sent_but_holds_its_core(tmp_path: Path) -> None:
    found = stream(tmp_path, 100_000, one())
    found.run(110_000)
    found.manager.stop_graph("prog")
    other = compile_program(str(tmp_path / "prog.py"))
    found.manager.instantiate_and_map_graph(other, name="other")
    found.manager.execute_graph("other")
    # Its instants are those of the root clock's grid, too; the core is free by then.
    assert found.run(240_000) == [((1, 200_000), 230_000)]


SINGLE = """
@STREAMify
def t(trigger):
    return 1
@SQify
def s(x):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@GRAPHify
def main(trigger):
    return TTSingleRunTimeout(s(t(trigger, TTPeriod=20_000)), TTTimeout=TIMEOUT)
"""


def test_a_single_run_is_in_flight_until_its_body_ends(tmp_path: Path) -> None:
    found = Simulated(tmp_path, SINGLE.replace("TIMEOUT", "1_000_000"), one())
    # 20 to 50; 40 dropped; 60 to 90; 80 dropped.
    assert found.run(100_000) == [(1, 50_000), (2, 90_000)]
    assert found.counters == {"s-1": {"busy": 2}}


def test_a_late_result_of_a_single_run_is_dropped(tmp_path: Path) -> None:
    found = Simulated(tmp_path, SINGLE.replace("TIMEOUT", "15_000"), one(cores=4))
    # 20 to 50, but 40 took its place; that waits for it: 50 to 80; at 60 one more takes its place.
    assert found.run(70_000) == []
    assert found.counters == {"s-1": {"late_results": 1}}


PLAN_B = """
@SQify
def f(x):
    return "f"
@SQify
def g():
    return "g"
@GRAPHify
def main(trigger):
    with TTClock.root() as root:
        late = READ_TTCLOCK(trigger, TTClock=root, delay=3_000)
    return TTFinishByOtherwise(f(trigger), TTTimeDeadline=late, TTPlanB=g())
"""


def test_a_plan_b_waits_for_no_core(tmp_path: Path) -> None:
    # The core is busy until 10 ms; the deadline passes at 3, and g takes 4.
    found = Simulated(tmp_path, PLAN_B, one())
    assert found.run() == [("g", 7_000)]
    assert found.counters == {"TTFinishByOtherwise-1": {"plan_b": 1, "late": 1}}


def test_a_persistent_sq_waits_for_no_core_but_for_itself(tmp_path: Path) -> None:
    program = FORK.replace("return f(trigger), g(trigger), f(trigger)", "f(trigger)\n    g(trigger, TTPersistent=True)")
    assert Simulated(tmp_path, program, one()).run() == [("g", 4_000), ("f", 10_000)]


def test_errors_are_told_at_the_end_and_free_the_core(tmp_path: Path) -> None:
    program = (
        FORK.replace('"f"', "1 / 0")
        .replace('"g"', "iter(())")
        .replace("return f(trigger), g(trigger), f(trigger)", "f(trigger)\n    p, q = g(trigger)\n    s(trigger)")
    )
    program = program.replace("@GRAPHify", '@SQify\ndef s(x):\n    return "s"\n@GRAPHify')
    found = Simulated(tmp_path, program, one())
    assert found.run(10_000) == []
    assert found.errors == []
    found.run(14_000)
    assert found.errors == ["ZeroDivisionError: division by zero"]
    assert found.run() == [("s", 44_000)]
    assert found.errors[1] == "ValueError: a sequence of 2 is unpacked here, but the body returned 0 values"


def test_a_result_keeps_its_value_of_the_time_when_the_body_returned(tmp_path: Path) -> None:
    program = """
class Shared:
    items = [0]
@SQify
def f(x):
    return Shared.items
@SQify
def g(x):
    Shared.items.append(1)
    return 0
@GRAPHify
def main(trigger):
    f(trigger)
    g(trigger)
"""
    assert Simulated(tmp_path, program, one(cores=2)).run() == [(0, 4_000), ([0], 10_000)]


LINKS = """
ensembles:
- {name: a}
- {name: b}
links:
- default: {latency: 7ms}
- {between: [a, b], latency: 1ms, bandwidth: 1MB/s}
costs:
  f: {bytes: BYTES, time: 1ms}
"""
TWO = """
@SQify
def f(x):
    return bytes(5_000)
@SQify
def g(x):
    return len(x)
@GRAPHify
def main(trigger):
    return g(f(trigger))
"""


@pytest.mark.parametrize(("size", "way"), [("2kB", 3_000), ("0", 1_000), (None, 6_003)])
def test_links_take_their_time(tmp_path: Path, size: str | None, way: int) -> None:
    links = LINKS.replace("bytes: BYTES, ", "" if size is None else f"bytes: {size}, ")
    found = Simulated(tmp_path, TWO, links, {"f-1": "a", "g-1": "b"})
    # 1 ms of body; MessagePack has three bytes before so many; 7 ms to the manager.
    assert found.run() == [(5_000, 1_000 + way + 7_000)]


def test_a_later_token_does_not_overtake(tmp_path: Path) -> None:
    program = """
@STREAMify
def f(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return bytes(9_000) if sq_state["n"] == 1 else b""
@SQify
def g(x):
    return len(x)
@GRAPHify
def main(trigger):
    return g(f(trigger, TTPeriod=4_000))
"""
    links = LINKS.replace("bytes: BYTES, time: 1ms", "memory: 1")
    found = Simulated(tmp_path, program, links, {"f-1": "a", "g-1": "b"})
    # The bytes of the first go from 4 to 13.003 ms, and those of 8 and 12 wait for that; then the link is free again.
    gone = 4_000 + 9_003
    ways = [gone, gone + 2, gone + 4, 16_002]
    assert found.run(26_000) == list(zip([9_000, 0, 0, 0], [way + 1_000 + 7_000 for way in ways], strict=True))


def test_a_link_that_is_asked_too_much_falls_behind(tmp_path: Path) -> None:
    program = """
@STREAMify
def f(trigger):
    return b""
@SQify
def g(x):
    return 0
@GRAPHify
def main(trigger):
    return g(f(trigger, TTPeriod=100_000))
"""
    links = LINKS.replace("bytes: BYTES, time: 1ms", "bytes: 200kB")
    found = Simulated(tmp_path, program, links, {"f-1": "a", "g-1": "b"})
    arrivals = [arrival - 7_000 - 1_000 for _, arrival in found.run(2_000_000)]
    assert arrivals == [100_000 + 200_000 * (k + 1) for k in range(len(arrivals))]
    # 19 tokens were sent by 1.9 s; their bytes take 3.8 s from 100 ms on.
    (load,) = found.manager.status()["loads"]
    behind = 100_000 + 19 * 200_000 - 2_000_000
    assert load == {
        "what": "link",
        "name": "a -> b",
        "cores": 1,
        "used": (19 * 200_000 - behind) / 2_000_000,
        "behind": behind,
        "waits": "",
        "overloaded_since": 100_000,
    }


# Against a model of its own.


def random_system(seed: int, folder: Path) -> tuple[TTGraph, DeploymentFile, dict[str, str]]:
    """A graph fed once, on hosts of several cores with links of their own; every arc is an output too."""
    chance = random.Random(seed)
    count = chance.randint(3, 14)
    lines, costs = [], {}
    for k in range(count):
        before = chance.sample(range(k), min(k, chance.choice([0, 1, 1, 2, 3])))
        names = ", ".join(f"x{j}" for j in range(max(1, len(before))))
        lines.append(f"@SQify\ndef f{k}({names}):\n    return {k}\n")
        costs[f"f{k}"] = CostSpec(chance.randint(1, 100_000), chance.randint(0, 100_000))
        chosen = ", ".join(f"a{j}" for j in sorted(before)) or "trigger"
        lines.append(f"#graph    a{k} = f{k}({chosen})\n")
    body = "".join(line.removeprefix("#graph") for line in lines if line.startswith("#graph"))
    program = "".join(line for line in lines if not line.startswith("#graph"))
    (folder / "prog.py").write_text(f"{HEAD}{program}@GRAPHify\ndef main(trigger):\n{body}")
    graph = compile_program(str(folder / "prog.py"))
    for sq in graph.sqs:
        for arc in sq.arcs:
            arc.output = True
    names = ["a", "b", "c"]
    specs = [EnsembleSpec(name, (), Fraction(chance.randint(1, 9), 2), chance.randint(1, 3)) for name in names]
    links = {
        pair: LinkSpec(chance.randint(0, 30_000), Fraction(chance.randint(1, 10) * 10**6))
        for pair in [("a", "b"), ("a", "c"), ("b", "c")]
    }
    deployment = DeploymentFile("d", tuple(specs), links, LinkSpec(), costs)
    return graph, deployment, {sq.name: chance.choice(names) for sq in graph.sqs}


def ends_in_simpy(graph: TTGraph, deployment: DeploymentFile, mapping: dict[str, str]) -> dict[str, int]:
    """When each SQ ends, if a core is a place in a SimPy resource, and a link, in each direction, is one of its own."""
    env = simpy.Environment()
    specs = {spec.name: spec for spec in deployment.ensembles}
    cores = {name: simpy.Resource(env, spec.cores) for name, spec in specs.items()}
    arrived = {(sq.name, port): env.event() for sq in graph.sqs for port in range(len(sq.ports))}
    ends: dict[str, int] = {}
    order = {sq.name: (sq.rank, k) for k, sq in enumerate(graph.sqs)}

    ready: dict[str, list[Any]] = {name: [] for name in specs}
    turns = {sq.name: env.event() for sq in graph.sqs}
    wires = {(one, other): simpy.Resource(env, 1) for one in specs for other in specs if one != other}

    def take_turns(host: str) -> Any:
        """SQs that become ready at one tick ask for their core in graph order."""
        for sq in sorted(ready[host], key=lambda sq: order[sq.name]):
            turns[sq.name].succeed(cores[host].request())
        ready[host].clear()

    def bring(to: Any, wire: simpy.Resource, transfer: int, latency: int) -> Any:
        with wire.request() as turn:
            yield turn
            yield env.timeout(transfer)
        yield env.timeout(latency)
        for destination in to:
            arrived[destination.sq, destination.port].succeed()

    def live(sq: Any) -> Any:
        yield simpy.AllOf(env, [arrived[sq.name, port] for port in range(len(sq.ports))])
        host, cost = mapping[sq.name], deployment.costs[sq.function]
        ready[host].append(sq)
        if len(ready[host]) == 1:
            after_all = env.event()
            after_all._ok, after_all._value = True, None
            after_all.callbacks.append(lambda event: take_turns(host))
            env.schedule(after_all, priority=9)  # type: ignore[arg-type]
        request = yield turns[sq.name]
        with request as core:
            yield core
            assert cost.time is not None
            yield env.timeout(math.ceil(cost.time / specs[host].speed))
        ends[sq.name] = int(env.now)
        to = [destination for arc in sq.arcs for destination in arc.to]
        for other in specs:
            there = [destination for destination in to if mapping[destination.sq] == other]
            link = deployment.links.get((min(host, other), max(host, other)))
            if other == host:
                for destination in there:
                    arrived[destination.sq, destination.port].succeed()
            elif there:
                assert link is not None and link.bandwidth is not None and cost.bytes is not None
                transfer = math.ceil(cost.bytes * 10**6 / link.bandwidth)
                env.process(bring(there, wires[host, other], transfer, link.latency))

    for sq in graph.sqs:
        env.process(live(sq))
    for source in graph.inputs:
        for to in source.to:
            arrived[to.sq, to.port].succeed()
    env.run()
    return ends


@pytest.mark.parametrize("seed", range(60))
def test_random_systems_as_in_simpy(seed: int, tmp_path: Path) -> None:
    graph, deployment, mapping = random_system(seed, tmp_path)
    found = Simulated(tmp_path, graph, deployment, mapping)
    found.run()
    assert {token.sq: token.arrival for token in found.tokens} == ends_in_simpy(graph, deployment, mapping)


LIMITED = """
@STREAMify
def t(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def s(x):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return ("s", sq_state["n"])
@SQify
def f(x):
    return ("f", x)
@GRAPHify
def main(trigger):
    x = t(trigger, TTPeriod=40_000)
    return s(x, TTTimeout=TIMEOUT MORE), f(x)
"""


def limited(folder: Path, timeout: int, more: str = "", cores: int = 1) -> Simulated:
    program = LIMITED.replace("TIMEOUT", str(timeout)).replace("MORE", more).replace("return s(", "s(")
    return Simulated(folder, program.replace("), f(x)", ")\n    f(x)"), one(cores=cores))


def test_a_run_that_takes_longer_than_its_timeout_ends_with_its_worker(tmp_path: Path) -> None:
    """By hand: s would run from 40 to 70, and is ended at 52. On one core f waits behind it, and is lost with it."""
    found = limited(tmp_path, 12_000)
    assert found.run(100_000) == []
    assert found.counters == {"s-1": {"errors": 2}, "f-1": {"lost": 2}, "a": {"restarts": 2}}
    assert found.errors == ["TTTimeout: its body had not ended after 12ms, so it was ended with its worker"] * 2
    # On two cores f runs from 40 to 50: it is lost with an s that is ended at 48.
    both = limited(tmp_path, 8_000, cores=2)
    assert both.run(100_000) == []
    assert both.counters == found.counters
    # It ends before an s that is ended at 52.
    both = limited(tmp_path, 12_000, cores=2)
    assert both.run(100_000) == [(("f", 1), 50_000), (("f", 2), 90_000)]
    assert both.counters == {"s-1": {"errors": 2}, "a": {"restarts": 2}}


def test_a_worker_of_its_own_keeps_other_sqs_from_a_timeout(tmp_path: Path) -> None:
    found = limited(tmp_path, 8_000, ", TTPersistent=True")
    assert found.run(100_000) == [(("f", 1), 50_000), (("f", 2), 90_000)]
    assert found.counters == {"s-1": {"errors": 2}, "a": {"restarts": 2}}


def test_a_run_that_takes_just_its_timeout_ends_by_itself(tmp_path: Path) -> None:
    found = limited(tmp_path, 30_000, cores=2)
    assert found.run(80_000) == [(("f", 1), 50_000), (("s", 1), 70_000)]
    assert found.counters == {}


def test_which_sqs_share_a_worker_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(cores.Assignment):
        def __init__(self, *arguments: Any) -> None:
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(cores, "Assignment", Counted)
    assert limited(tmp_path, 12_000).run(500_000) == []
    assert len(made) == 1
