"""Many simulated runs of one program: the same as each run alone, whatever runs beside it."""

import json

import pytest

import commands
import ticktalk
from ticktalk.cli.sweep import settings_of_run
from ticktalk.errors import TTError

PROGRAM = """
import random
from ticktalk import GRAPHify, SQify, STREAMify, TTClock, TTConstraint


@STREAMify
def sample(x):
    return x + random.randint(0, 9)


@SQify
def scale(x, gain):
    if gain == 13:
        raise ValueError("unlucky")
    return x * gain


@GRAPHify
def main(x, gain):
    with TTClock.root() as clock:
        s = sample(x, TTClock=clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        with TTConstraint(name="far"):
            return scale(s, gain)
"""

RUNS = """
until: 2s
input: {x: 1}
vary:
  input.gain: [2, 0.5]
  seed: [1, 2]
runs:
  - {input.gain: 13, network-delay: 30ms}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "prog.py").write_text(PROGRAM)
    (tmp_path / "runs.yaml").write_text(RUNS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*words):
    return commands.ticktalk("simulate", "prog.py", *words)


def values(result):
    return [token["value"] for token in result["outputs"]]


def test_the_runs_of_a_file_are_those_of_single_commands_however_many_at_a_time(folder):
    shown = [command("--runs", "runs.yaml", "-j", str(jobs), "-o", f"{jobs}.jsonl") for jobs in (1, 3)]
    assert shown[0].stdout == shown[1].stdout and [done.returncode for done in shown] == [0, 0]
    assert (folder / "1.jsonl").read_bytes() == (folder / "3.jsonl").read_bytes()
    lines = [json.loads(line) for line in (folder / "3.jsonl").read_text().splitlines()]
    assert [line["run"] for line in lines] == [1, 2, 3, 4, 5]
    grid = [(2, 1), (2, 2), (0.5, 1), (0.5, 2)]
    for line, (gain, seed) in zip(lines, grid, strict=False):
        options = ["--until", "2s", "--input", "x=1", "--input", f"gain={gain}", "--seed", str(seed), "--jsonl"]
        assert line["outputs"] == [json.loads(row) for row in command(*options).stdout.splitlines()]
    # The seed alone decides on the samples, and the gain only scales them.
    assert [2 * each for each in values(lines[2])] == [each / 2 for each in values(lines[0])]
    assert values(lines[0]) != values(lines[1])
    assert lines[4]["errors"] == 3 and lines[4]["outputs"] == []
    assert lines[4]["settings"]["network-delay"] == "30ms"


def test_a_run_that_cannot_be_is_a_row_and_the_status(folder):
    (folder / "bad.yaml").write_text("until: 1s\ninput: {x: 1, gain: 1}\nvary:\n  network-delay: [1ms, often]\n")
    done = command("--runs", "bad.yaml")
    assert done.returncode == 1
    assert "run 2 failed" in done.stderr and "'often' is no duration" in done.stderr
    assert "run 1 failed" not in done.stderr


def test_mistakes_in_a_file_of_runs_are_told_with_their_lines(folder):
    (folder / "bad.yaml").write_text("vary:\n  network-dealy: [1ms]\nuntli: 3s\nruns: {}\n")
    done = command("--runs", "bad.yaml")
    assert done.returncode == 1
    assert (
        "bad.yaml:2: error: a run has no setting 'network-dealy'" in done.stderr
        and "did you mean `network-delay`" in done.stderr
    )
    assert "bad.yaml:3" in done.stderr and "bad.yaml:4" in done.stderr
    (folder / "none.yaml").write_text("until: 3s\n")
    assert "write a list under `vary:` or `runs:`" in command("--runs", "none.yaml").stderr
    both = command("--runs", "runs.yaml", "--jsonl")
    assert both.returncode == 2 and "--jsonl is for one run" in both.stderr


def test_a_sweep_from_python_is_a_list_for_a_table(folder):
    rows = ticktalk.sweep(
        "prog.py", {"input.gain": [1, 3]}, [{"seed": 9}], until="2s", input={"x": 1, "gain": 7}, seed=4
    )
    assert [row.get("input.gain") for row in rows] == [1, 3, None]
    assert [3 * value for value in values(rows[0])] == values(rows[1])
    assert all(value % 7 == 0 for value in values(rows[2])) and {row["status"] for row in rows} == {0}
    assert rows[0]["outcome"] != rows[1]["outcome"]
    assert ticktalk.sweep("prog.py", until="2s", input={"x": 1, "gain": 3}, seed=4)[0]["outcome"] == rows[1]["outcome"]
    with pytest.raises(TTError, match="a run has no setting 'untli'"):
        ticktalk.sweep("prog.py", untli="2s")
    with pytest.raises(TTError, match=r"nix.py: the program cannot be read"):
        ticktalk.sweep("nix.py")


def test_the_options_of_the_command_hold_for_all_runs_and_none_is_passed_over(folder):
    (folder / "costs.yaml").write_text("ensembles:\n  - {name: far}\n  - {name: near}\ncosts:\n  scale: {time: 2ms}\n")
    (folder / "gains.yaml").write_text("until: 2s\ninput: {x: 1}\nvary:\n  input.gain: [2, null]\n")
    options = ("--seed", "0", "--deployment", "costs.yaml", "--checkpoint", "3s", "--notice", "1s")
    done = command("--runs", "gains.yaml", "-o", "o.jsonl", *options)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (folder / "o.jsonl").read_text().splitlines()]
    alone = command("--until", "2s", "--input", "x=1", "--input", "gain=2", "--jsonl", *options)
    assert lines[0]["outputs"] == [json.loads(row) for row in alone.stdout.splitlines()]
    assert lines[0]["settings"]["checkpoint"] == "3s" and lines[0]["settings"]["notice"] == "1s"
    assert lines[1]["errors"] == 3 and lines[1]["status"] == 0  # `None` is a value: no gain is missing
    for words, told in (
        (("--runs", "gains.yaml", "--strict"), "--strict is for one run"),
        (("-o", "o.jsonl"), "-o is for many runs"),
        (("-j", "2"), "-j is for many runs"),
    ):
        done = command(*words)
        assert done.returncode == 2 and told in done.stderr
    done = command("--until", "1s", "--input", "x=1", "--input", "gain=2", "--summary", "none/s.json")
    assert done.returncode == 1 and "error: --summary none/s.json: there is no folder none" in done.stderr


def test_an_input_of_a_run_comes_first_however_it_is_written():
    assert settings_of_run({"input.x": 3, "until": "1s"}, {"input": {"x": 5}}) == {"until": "1s", "input": {"x": 5}}
    assert settings_of_run({"input": {"x": 3}}, {"input.x": 5}) == {"input.x": 5}
    assert settings_of_run({"input": {"until": 3}, "until": "1s"}, {"input": {"until": 5}})["until"] == "1s"


def test_an_input_that_no_option_can_give_is_refused_with_its_place(folder):
    text = "until: 1s\ninput: {x: 1}\nvary:\n  input.gain:\n    - 1\n    - 2026-11-29\n    - .inf\n"
    (folder / "days.yaml").write_text(text)
    done = command("--runs", "days.yaml", "-o", "o.jsonl")
    assert done.returncode == 1 and not (folder / "o.jsonl").exists()
    assert "days.yaml:6: error: input 'gain' is datetime.date(2026, 11, 29), of type 'date'" in done.stderr
    assert "days.yaml:7: error: input 'gain' is inf" in done.stderr
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TTError, match=r"input 'gain' is .*give text, or plain numbers"):
        ticktalk.sweep("prog.py", {"input.gain": numpy.linspace(0, 1, 2)}, until="2s", input={"x": 1})


def test_a_dask_cluster_gives_what_this_machine_gives(folder):
    distributed = pytest.importorskip("distributed")
    (folder / "costs.yaml").write_text("ensembles:\n  - {name: far}\n  - {name: near}\ncosts:\n  scale: {time: 2ms}\n")
    asked = ({"seed": [1, 2]}, [{"seed": 3, "deployment": "costs.yaml"}])
    fixed = {"until": "2s", "input": {"x": 1, "gain": 2}}
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        there = ticktalk.sweep("prog.py", *asked, dask=cluster.scheduler_address, **fixed)
    assert there == ticktalk.sweep("prog.py", *asked, jobs=1, **fixed)
    with pytest.raises(TTError, match="no Dask scheduler answers"):
        ticktalk.sweep("prog.py", dask="tcp://127.0.0.1:1", **fixed)


@pytest.mark.parametrize("value", ["20s", 5, {"x": 1}, None])
def test_a_value_in_place_of_a_list_is_refused(folder, value):
    with pytest.raises(TTError, match=r"'until' in `vary` is .*give a list of values, such as \["):
        ticktalk.sweep("prog.py", {"until": value}, input={"x": 1, "gain": 2})
    with pytest.raises(TTError, match=r"'until' in `vary` has no value, so there is no run"):
        ticktalk.sweep("prog.py", {"seed": [1], "until": []}, input={"x": 1, "gain": 2})
    with pytest.raises(TTError, match=r"`runs` is a list of settings"):
        ticktalk.sweep("prog.py", runs={"until": "2s"}, input={"x": 1, "gain": 2})


def test_the_modules_of_drivers_go_to_the_workers_of_a_dask_cluster(folder, monkeypatch):
    distributed = pytest.importorskip("distributed")
    near, elsewhere = folder / "near", folder / "elsewhere"
    (near / "parts").mkdir(parents=True)
    (near / "prog.py").write_text(
        "from ticktalk import *\n@STREAMify\ndef read(t): return component('dial').read()\n"
        "@GRAPHify\ndef main(t): return read(t, TTPeriod=s(1))\n"
    )
    (near / "dials.py").write_text("from parts.spring import force\nclass Dial:\n    def read(self): return force()\n")
    (near / "parts" / "spring.py").write_text("def force(): return 'near'\n")
    elsewhere.mkdir()
    (elsewhere / "dials.py").write_text("raise ImportError('the one beside the program goes first')\n")
    asked = {"until": "1500ms", "input": {"t": 1}, "ensemble": "e=dial", "component": "e.dial=dials:Dial"}
    monkeypatch.chdir(elsewhere)
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        (there,) = ticktalk.sweep(near / "prog.py", dask=cluster.scheduler_address, **asked)
    assert values(there) == ["near"], there["told"]
