"""The examples that have a folder each: their outputs beside plain Python, their pictures, the commands they name."""

from __future__ import annotations

import csv
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from ticktalk import compile_program
from ticktalk.graph.drawing import draw
from ticktalk.testing import Run, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = ["perception", "building", "vibration", "plant", "prediction", "riot"]


def simulated(name: str, **options: Any) -> Run:
    done = run(EXAMPLES / name / f"{name}.py", **options)
    done.assert_no_errors()
    return done


def test_a_list_that_is_late_is_left_out() -> None:
    cameras = {f"{car}.camera": f"cameras:{car.replace('-', '_')}" for car in ("car-a", "car-b", "unit")}
    done = simulated(
        "perception",
        until="3s",
        network_delay="5ms",
        component=cameras,
        events=EXAMPLES / "perception" / "slow-link.yaml",
    )
    # The child stands where only car-b sees it. Its lists of 1 s up to 2 s take 90 ms, and are wanted within 60 ms.
    got = {int(token.start + token.stop) // 2: [kind for kind, _, _ in token.value] for token in done.outputs}
    all_three = ["cyclist", "truck", "child"]
    late = range(1_000_000, 2_000_000)
    assert got == {at: all_three[: 2 if at in late else 3] for at in range(200_000, 3_000_000, 200_000)}


def test_rooms_are_heated_as_their_mean_says() -> None:
    thermometers = {"basement.thermometers": "thermometers:Minutes"}
    done = simulated("building", until="24h", component=thermometers)
    day = pandas.read_csv(EXAMPLES / "building" / "day.csv").iloc[:143]  # the last instant is the end of the run
    wanted = []
    for room, target in (("office", 21.0), ("hall", 18.0), ("store", 12.0)):
        on, states = False, []
        for mean in day[room].rolling(6, min_periods=1).mean():
            on = mean < target + 0.5 if on else mean < target - 0.5
            states.append(on)
        wanted.append(states)
    assert done.values == [list(row) for row in zip(*wanted, strict=True)]
    assert {len(set(states)) for states in wanted} == {2}  # each room is heated at some time, and not at another


def test_the_tone_is_that_of_an_fft_over_even_samples() -> None:
    done = simulated("vibration", until="7s", ensemble=["machine"], component={"machine.sensor": "bearing:Bearing"})
    raw = np.arange(4, 7000, 4) / 1000
    hum = np.where(raw < 3, np.sin(2 * np.pi * 31 * raw), np.sin(2 * np.pi * 47 * raw))
    even = np.interp(np.arange(5, 6995, 5) / 1000, raw, hum)
    windows = even[: len(even) // 200 * 200].reshape(-1, 200) * np.hanning(200)
    wanted = np.fft.rfftfreq(200, 0.005)[np.abs(np.fft.rfft(windows))[:, 1:].argmax(axis=1) + 1]
    assert done.values == wanted.tolist() == [31, 31, 31, 47, 47, 47]


def test_the_loop_comes_to_rest_at_the_wanted_level() -> None:
    done = simulated("plant", until="60s", network_delay="20ms", component={"tower.tank": "tank:Tank"})
    assert len(done.values) == 599 and all(0 <= flow <= 10 for flow in done.values)
    metres = 0.5
    for _ in range(9):  # it drains before the first reading at 100 ms
        metres -= 1.5 * metres**0.5 / 10 * 0.01
    assert done.values[0] == pytest.approx((4 + 0.5 * 0.1) * (2 - metres))
    # At rest as much flows in as out: 1.5 times the root of 2 m.
    assert done.values[-1] == pytest.approx(1.5 * 2**0.5, rel=1e-4)
    assert {token.arrival - int(token.start + token.stop) // 2 for token in done.outputs} == {60_000}  # three links


def test_the_work_of_a_lost_device_goes_on_elsewhere() -> None:
    folder = EXAMPLES / "prediction"
    done = simulated("prediction", until="9s", deployment=folder / "site.yaml", events=folder / "failure.yaml")
    hosts = {int(token.start + token.stop) // 2: token.ensemble for token in done.outputs}
    instants = range(500_000, 9_000_000, 500_000)
    # The server fails at 3 s, with the image of 3 s on its way, and is taken for lost 2 s later.
    assert {at for at in instants if at not in hosts} <= {3_000_000, *range(3_500_000, 5_500_000, 500_000)}
    assert {host for at, host in hosts.items() if at < 3_000_000} == {"server"}
    assert {host for at, host in hosts.items() if at >= 5_500_000} == {"box"}


def test_readings_are_cleaned_counted_and_foretold() -> None:
    done = simulated("riot", until="3s", ensemble=["edge"], component={"edge.load": "load:Load"})
    sys.path.insert(0, str(EXAMPLES / "riot"))
    try:
        from load import Load
    finally:
        sys.path.pop(0)
    lines = [Load().line(at) for at in range(10_000, 3_000_000, 10_000)]
    rows = pandas.DataFrame(csv.reader(lines), columns=["sensor", "celsius", "humidity"])
    rows["celsius"] = pandas.to_numeric(rows["celsius"])
    rows = rows[rows["celsius"].isna() | rows["celsius"].between(-40, 60)]
    rows["celsius"] = rows.groupby("sensor")["celsius"].ffill().fillna(0.0)
    celsius = rows["celsius"].to_numpy()
    assert [clean["celsius"] for clean, *_ in done.values] == celsius.tolist()
    assert [clean["place"] for clean, *_ in done.values] == rows["sensor"].map(
        {"a": "roof", "b": "cellar", "c": "yard"}
    ).tolist()
    means, distinct, predicted = zip(*(token[1:] for token in done.values), strict=True)
    assert means == pytest.approx(np.cumsum(celsius) / np.arange(1, len(celsius) + 1))
    assert list(distinct) == [len(set(rows["sensor"][:n])) for n in range(1, len(rows) + 1)]
    for n in range(2, len(celsius) + 1):
        last = celsius[max(0, n - 8) : n]
        assert predicted[n - 1] == pytest.approx(np.polyval(np.polyfit(range(len(last)), last, 1), len(last)))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_picture_is_that_of_the_program(folder: str) -> None:
    path = EXAMPLES / folder
    assert (path / f"{folder}.svg").read_text("utf-8") == draw(compile_program(path / f"{folder}.py"), "svg")
    assert f"![The graph]({folder}.svg)" in (path / "README.md").read_text("utf-8")


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_commands_of_the_readme_run(folder: str, tmp_path: Path) -> None:
    text = (EXAMPLES / folder / "README.md").read_text("utf-8").replace("\\\n", " ")
    commands = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    ticktalk ")]
    assert commands
    for words in commands:
        if words[0] == "run":  # `tests/physical/test_examples.py` runs it
            continue
        before = ["", *words[:-1]]
        written = [
            str(tmp_path / word) if last in ("-o", "--plot") else word for last, word in zip(before, words, strict=True)
        ]
        done = subprocess.run(
            [sys.executable, "-m", "ticktalk", *written],
            cwd=EXAMPLES / folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 and done.stdout, (words, done.stderr)
