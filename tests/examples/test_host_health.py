"""The demo: its outputs on the recording, against truth computed from the recording's files alone."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import simpy

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

CPU_PERIOD = 200_000  # microseconds, as all below
SYSTEM_PERIOD = 1_000_000
PER_SYSTEM = SYSTEM_PERIOD // CPU_PERIOD
NETWORK_DELAY = 2_000
LENGTH = 300_000_000

# As the recorder tells in PROVENANCE.md: the cpu instants from and to which nothing was recorded.
GAPS = [(62_200_000, 63_400_000), (147_400_000, 148_600_000), (231_000_000, 232_200_000)]
MISSING = [instant for first, last in GAPS for instant in range(first, last + 1, CPU_PERIOD)]


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


demo = example("demo")
telemetry = example("telemetry")


def run_demo(out: Path) -> list[dict[str, Any]]:
    """The demo's steps up to the simulation; the output tokens."""
    demo.compile_program(out)
    demo.draw_graph(out)
    demo.simulate(out)
    return [json.loads(line) for line in (out / demo.OUTPUTS).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo-output")


@pytest.fixture(scope="module")
def tokens(out: Path) -> list[dict[str, Any]]:
    return run_demo(out)


def instants(tokens: list[dict[str, Any]]) -> list[int]:
    return [(token["start"] + token["stop"]) // 2 for token in tokens]


def values(tokens: list[dict[str, Any]], name: str) -> list[Any]:
    return [token["value"][name] for token in tokens]


class Truth:
    """The expected outputs. The streams' first instant is one period after the start, as 0 is not later than it."""

    def __init__(self) -> None:
        self.cpu = self.recorded("fast.csv", CPU_PERIOD)
        self.system = self.recorded("slow.csv", SYSTEM_PERIOD)
        # From the first system sample up to the last, which only a later one would let go on.
        self.instants = np.arange(min(self.system), max(self.system), CPU_PERIOD)
        # The system sample that holds at each of them, and the one after it, which lets it go on.
        sampled = np.array(sorted(self.system))
        after = np.searchsorted(sampled, self.instants, side="right")
        self.held, self.following = sampled[after - 1], sampled[after]
        self.before = {held: sampled[max(0, index - 1)] for index, held in enumerate(sampled)}

    @staticmethod
    def recorded(file: str, period: int) -> dict[int, dict[str, float]]:
        with (EXAMPLES / "telemetry" / file).open(encoding="ascii", newline="") as lines:
            rows = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(lines)]
        due = {int(row["t_us"] // period * period): row for row in rows}
        assert len(due) == len(rows)
        return {instant: row for instant, row in due.items() if 0 < instant < LENGTH}

    def average(self, instant: int) -> float:
        come = [self.cpu[i]["cpu_percent"] for i in sorted(self.cpu) if i <= instant]
        return float(np.mean(come[-25:]))

    def memory(self) -> list[float]:
        return [self.system[held]["memory_percent"] for held in self.held]

    def rate(self, *counters: str) -> np.ndarray:
        def one(held: int) -> float:
            now, before = self.system[held], self.system[self.before[held]]
            elapsed = now["t_us"] - before["t_us"]
            return sum(now[name] - before[name] for name in counters) / elapsed if elapsed else 0.0

        return np.array([one(held) for held in self.held])


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth()


def test_every_cpu_instant_meets_the_system_sample_that_holds(tokens: list, truth: Truth) -> None:
    assert instants(tokens) == truth.instants.tolist()
    assert {token["stop"] - token["start"] for token in tokens} == {CPU_PERIOD}
    assert values(tokens, "memory") == truth.memory()
    assert {(token["graph"], token["ensemble"]) for token in tokens} == {("host_health", "health")}


def test_rates_are_differences_of_counters_over_the_time_between_samples(tokens: list, truth: Truth) -> None:
    disk = truth.rate("disk_read_bytes", "disk_write_bytes")
    network = truth.rate("net_sent_bytes", "net_recv_bytes")
    assert np.allclose(values(tokens, "disk"), disk, atol=0.0051)
    assert np.allclose(values(tokens, "network"), network, atol=0.0051)
    assert disk.max() > 80 and network.max() > 20


def test_the_moving_average_is_over_the_latest_samples(tokens: list, truth: Truth) -> None:
    expected = [truth.average(instant) for instant in truth.instants]
    assert np.allclose(values(tokens, "cpu"), expected, atol=0.0051)


def test_plan_b_fires_exactly_in_the_gaps_of_the_recording(tokens: list, truth: Truth) -> None:
    assert sorted(set(truth.instants.tolist()) - set(truth.cpu)) == MISSING
    estimated = [
        instant for instant, marked in zip(instants(tokens), values(tokens, "estimated"), strict=True) if marked
    ]
    assert estimated == MISSING


def test_the_score_is_that_of_numpy(tokens: list, truth: Truth) -> None:
    average = np.array([truth.average(instant) for instant in truth.instants])
    disk = np.minimum(truth.rate("disk_read_bytes", "disk_write_bytes"), 100)
    network = np.minimum(truth.rate("net_sent_bytes", "net_recv_bytes"), 100)
    score = 100 - 0.5 * average - 0.3 * np.array(truth.memory()) - 0.1 * disk - 0.1 * network
    assert np.allclose(values(tokens, "score"), score, atol=0.06)


def test_outputs_arrive_with_the_system_sample_after_theirs(tokens: list, truth: Truth) -> None:
    # From sensor-slow to health, and from there to the manager.
    assert [token["arrival"] for token in tokens] == (truth.following + 2 * NETWORK_DELAY).tolist()


def test_table(tokens: list, out: Path, truth: Truth) -> None:
    heading, *rows = demo.table(out / demo.OUTPUTS)
    assert heading.split() == ["time", "cpu", "average", "memory", "score", "lowest", "score", "plan", "B"]
    assert [re.split(r"[\s%]+", row.strip())[0] for row in rows] == [
        f"{s // 60}:{s % 60:02}" for s in range(30, 301, 30)
    ]
    for number, row in enumerate(rows):
        _, cpu, memory, score, lowest, plan_b = re.split(r"[\s%]+", row.strip())
        end = (number + 1) * 30_000_000
        half_minute = [
            t["value"] for t, at in zip(tokens, instants(tokens), strict=True) if end - 30_000_000 <= at < end
        ]
        last = int(truth.instants[truth.instants < end].max())
        assert float(cpu) == pytest.approx(truth.average(last), abs=0.06)
        assert float(memory) == truth.system[truth.held[truth.instants == last][0]]["memory_percent"]
        assert float(score) == half_minute[-1]["score"]
        assert float(lowest) == min(value["score"] for value in half_minute)
        missing = sum(end - 30_000_000 <= instant < end for instant in MISSING)
        assert plan_b == (str(missing) if missing else "-")


def test_a_repeated_run_gives_the_same_bytes(tokens: list, out: Path, tmp_path: Path) -> None:
    again = run_demo(tmp_path)
    assert again == tokens
    for file in (demo.GRAPH, demo.PICTURE, demo.OUTPUTS, demo.PLOT):
        assert (tmp_path / file).read_bytes() == (out / file).read_bytes(), file


def simulate(log: Path, until: str, network_delay: str) -> list[dict[str, Any]]:
    demo.ticktalk(
        *("simulate", demo.PROGRAM, "--until", until, "--network-delay", network_delay, "--log", log),
        *("--component", "sensor-fast.cpu_counters=telemetry:RecordedCpu"),
        *("--component", "sensor-slow.system_counters=telemetry:RecordedSystem"),
    )
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_counts_are_reported(tokens: list, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path / "outputs.jsonl", "300s", "2ms") == tokens
    told = capfd.readouterr().err
    assert f"plan_b: {len(MISSING)} " in told
    unmet = PER_SYSTEM - 1  # the cpu samples before the first system sample
    assert f"evicted: {unmet} (fuse-1 {unmet})" in told
    for kind in ("late", "errors", "skipped", "out_of_order", "missed"):
        assert f"{kind}: " not in told


def test_cpu_samples_that_come_too_late_are_estimated(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tokens = simulate(tmp_path / "outputs.jsonl", "30s", "100ms")
    assert instants(tokens) == list(range(1_000_000, 28_800_001, CPU_PERIOD))
    assert set(values(tokens, "estimated")) == {True}
    assert set(values(tokens, "cpu")) == {0.0}
    assert "late: 149 " in capfd.readouterr().err


def test_recorded_drivers_begin_with_the_simulation() -> None:
    env = simpy.Environment(initial_time=7_000_000)
    cpu, system = telemetry.RecordedCpu(env=env), telemetry.RecordedSystem(env=env)
    first = system.read()
    assert cpu.read() == 0.0 and first["t_us"] == 364 and first["memory_percent"] == 1.0
    env.run(until=7_000_000 + 62_000_000)
    assert cpu.read() is not None and system.read() is not None
    env.run(until=7_000_000 + 63_000_000)
    assert cpu.read() is None and system.read() is None
    env.run(until=7_000_000 + LENGTH)
    assert cpu.read() is None and system.read() is None


def test_live_and_recorded_drivers_read_alike() -> None:
    cpu, system = telemetry.LiveCpu(), telemetry.LiveSystem()
    assert 0 <= cpu.read() <= 100
    first, second = system.read(), system.read()
    assert first.keys() == telemetry.SystemSample.__annotations__.keys()
    assert 0 < first["memory_percent"] < 100
    assert all(second[name] >= first[name] for name in ("t_us", "disk_bytes", "network_bytes"))
