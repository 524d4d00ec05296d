"""`ticktalk explain` on a recording: text on stdout, the picture in a file, and errors that say what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import commands
from ticktalk import simulate
from ticktalk.cli.main import app_of
from ticktalk.errors import TTError

PROGRAM = """
from ticktalk import *
@STREAMify
def cam(t):
    return 7
@SQify
def twice(x):
    return 2 * x
@GRAPHify
def main(trigger):
    return twice(cam(trigger, TTPeriod=100_000))
"""


def ticktalk(*command: str) -> Result:
    return CliRunner().invoke(app_of([command[0]]), list(command))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    (folder / "prog.py").write_text(PROGRAM)
    made = folder / "run.mcap"
    assert ticktalk("simulate", str(folder / "prog.py"), "--until", "1s", "--record", str(made)).exit_code == 0
    return made


def test_words_and_picture(recording: Path, tmp_path: Path) -> None:
    done = ticktalk("explain", str(recording), "twice-1@300ms", "-o", str(tmp_path / "why.svg"))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "twice-1 gave 14 on [275ms, 325ms)"
    assert "      x: cam-1 = 7 on [275ms, 325ms), sent at 300ms" in done.stdout.splitlines()
    assert "cam-1 = 7" in (tmp_path / "why.svg").read_text()


def test_why_none_came(recording: Path) -> None:
    done = ticktalk("explain", str(recording), "--missing", "twice-1@340ms")
    assert done.exit_code == 0
    assert "cam-1: no instant has an interval that holds this tick; the nearest is [275ms, 325ms)" in done.stdout
    past = ticktalk("explain", str(recording), "--missing", "twice-1@30s").stdout
    assert "cam-1: its last instant has [" in past and ", and what is recorded ends at " in past
    assert "no instant has" not in past


def test_mistakes_say_what_to_do(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("{}\n")
    for command, told in (
        ((str(recording), "twice-1@350ms"), "--missing twice-1@350ms says why"),
        ((str(recording), "nix@1s"), "no SQ, arc or variable 'nix'; its outputs are twice-1"),
        ((str(tmp_path / "out.jsonl"), "twice-1@1s"), "no output, as --log and --jsonl write them"),
        ((str(recording), "twice-1@300ms", "--context", "3"), "no start 3 was recorded (there are: 1)"),
        ((str(recording), "twice-1@300ms", "-o", str(tmp_path / "none" / "x.svg")), "cannot be written"),
    ):
        error = ticktalk("explain", *command).exception
        assert isinstance(error, TTError) and told in str(error)
    for command in (
        (),
        (str(recording),),
        (str(recording), "twice-1"),
        (str(recording), "twice-1@soon"),
        (str(recording), "twice-1@12:30"),
        (str(recording), "twice-1@300ms", "--manager", "127.0.0.1:9"),
    ):
        assert ticktalk("explain", *command).exit_code == 2


def test_a_clock_time_is_on_the_day_of_the_start(tmp_path: Path) -> None:
    """The run starts at 23:59:59, so 00:00 is a second later; so is `1s`, and the date."""
    (tmp_path / "prog.py").write_text(PROGRAM)
    made = str(tmp_path / "run.mcap")
    start = ["--start", "2026-11-29 23:59:59"]
    assert ticktalk("simulate", str(tmp_path / "prog.py"), *start, "--until", "2s", "--record", made).exit_code == 0
    at_start = "times are after the start, 2026-11-29 23:59:59 ("
    told = {when: ticktalk("explain", made, f"twice-1@{when}") for when in ("1s", "00:00", "2026-11-30 00:00")}
    for when, done in told.items():
        assert done.exit_code == 0, when
        assert done.stdout.splitlines()[0] == "twice-1 gave 14 on [975ms, 1.025s)"
        assert at_start in done.stderr
    before = ticktalk("explain", made, "twice-1@2026-11-28")
    assert before.exit_code == 2 and "is before the start" in before.output
    shown = json.loads(ticktalk("inspect", made, "--at", "00:00", "--json").stdout)
    assert shown["after_us"] == 1_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of outputs on 100, 200, 400, ... ms: that of 300 ms is missing."""
    folder = tmp_path_factory.mktemp("log")
    count = "    global sq_state\n    n = sq_state['n'] = sq_state.get('n', 0) + 1"
    text = PROGRAM.replace("def twice(x):", f"def twice(x):\n{count}")
    (folder / "prog.py").write_text(text.replace("return 2 * x", "return TTEmpty() if n == 3 else 2 * x"))
    words = ["--until", "1s", "--log", str(folder / "out.jsonl"), "--record-outputs", str(folder / "out.mcap")]
    assert ticktalk("simulate", str(folder / "prog.py"), *words).exit_code == 0
    return folder


@pytest.mark.parametrize("file", ["out.jsonl", "out.mcap"])
def test_outputs_alone_say_what_they_show_and_which_recording_says_more(log: Path, file: str, tmp_path: Path) -> None:
    done = ticktalk("explain", str(log / file), "twice-1@200ms", "-o", str(tmp_path / "why.svg"))
    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[:2] == [
        "twice-1 gave 14 on [175ms, 225ms)",
        "it came to the manager at 200ms, 25ms before its end, from runtime-manager",
    ]
    assert "its outputs usually begin 100ms apart" in lines
    assert "before it: 14 on [75ms, 125ms), came to the manager at 100ms, 25ms before its end" in lines
    assert lines[-1].endswith("run again with --record FILE.mcap (simulate, run, manager), and explain that file")
    assert "<svg" in (tmp_path / "why.svg").read_text()
    missing = ticktalk("explain", str(log / file), "--missing", "twice-1@300ms").stdout
    assert "no output of twice-1 in the log holds then" in missing and "so 1 is missing between these two" in missing
    gone = ticktalk("explain", str(log / file), "twice-1@300ms").exception
    assert "the nearest are [175ms, 225ms) and [375ms, 425ms)" in str(gone)
    other = ticktalk("explain", str(log / file), "cam-1@300ms").exception
    assert "no output of 'cam-1'; it has those of twice-1" in str(other)


def test_an_array_is_shown_on_one_line(tmp_path: Path) -> None:
    text = PROGRAM.replace("return 2 * x", "import numpy\n    return numpy.zeros((2, 2), dtype=int)")
    (tmp_path / "prog.py").write_text(text)
    files = [str(tmp_path / "out.jsonl"), str(tmp_path / "out.mcap")]
    words = ["simulate", str(tmp_path / "prog.py"), "--until", "150ms", "--log", files[0], "--record", files[1]]
    shown = commands.ticktalk(*words).stdout
    array = "array([[0, 0], [0, 0]])"
    assert shown == f"[75ms, 125ms)  twice-1 on runtime-manager:  {array}\n"
    for file in files:
        assert ticktalk("explain", file, "twice-1@100ms").stdout.startswith(f"twice-1 gave {array} on [75ms, 125ms)\n")


def test_an_empty_log_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").touch()
    empty = ticktalk("explain", str(tmp_path / "out.jsonl"), "cam-1@300ms").exception
    assert "out.jsonl: the log is empty: no output came in that run" in str(empty)


def test_outputs_of_before_a_failure_are_explained_though_numbers_are_given_again(tmp_path: Path) -> None:
    """After a failure an SQ goes on from a checkpoint, with numbers that its tokens had before."""
    program, recording, events = tmp_path / "prog.py", str(tmp_path / "run.mcap"), tmp_path / "events.yaml"
    program.write_text(
        """
from ticktalk import *
@STREAMify
def count(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="pole"):
        n = count(trigger, TTPeriod=ms(200))
    with TTConstraint(name=["display", "box"]):
        return same(n)
"""
    )
    events.write_text("- {at: 2s, fail: display}\n")
    hosts = [option for name in ("pole", "display", "box") for option in ("--ensemble", name)]
    run = ("simulate", str(program), "--until", "6s", *hosts, "--events", str(events), "--record", recording, "--jsonl")
    done = commands.ticktalk(*run)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["ensemble"] for row in (rows[0], rows[-1])] == ["display", "box"], done.stderr
    for row in (rows[0], rows[2], rows[8], rows[9], rows[-1]):
        told = ticktalk("explain", recording, f"same-1@{(row['start'] + row['stop']) // 2}us")
        assert f"same-1 gave {row['value']} on" in told.stdout, told.stderr
        assert f"count-1 `n` = {row['value']} on" in told.stdout
        assert f"on {row['ensemble']}, on" in told.stdout


def test_a_recording_is_whole_while_the_dashboard_of_a_run_that_has_ended_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, told = str(tmp_path / "run.mcap"), []

    class Pages:
        """Stands in for the dashboard."""

        def __init__(self, *what: object) -> None:
            pass

        def steps(self, start: int, stop: int) -> list[int]:
            return [stop]

        def stay(self) -> None:
            told.append(ticktalk("explain", file, "twice-1@300ms"))

    monkeypatch.setattr("ticktalk.cli.dashboard.SimulatedPages", Pages)
    (tmp_path / "prog.py").write_text(PROGRAM)
    done = ticktalk("simulate", str(tmp_path / "prog.py"), "--until", "1s", "--record", file, "--web", "1")
    assert done.exit_code == 0, done.stderr
    assert told[0].exit_code == 0 and told[0].stdout.startswith("twice-1 gave 14 on [275ms, 325ms)")
    assert "incomplete" not in told[0].stderr


PAIR = """
from ticktalk import *
@STREAMify
def cam(t):
    return 7
@STREAMify
def lidar(t):
    return 1
@SQify
def fuse(x, y):
    return [x, y]
@SQify
def show(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        x = cam(trigger, {cam})
    with TTConstraint(name="b"):
        y = lidar(trigger, {lidar})
    return show(fuse(x, y))
"""
NOW = {
    "cam": {"TTPeriod": "100_000", "TTPhase": "0", "TTDataIntervalWidth": "20_000"},
    "lidar": {"TTPeriod": "100_000", "TTPhase": "50_000", "TTDataIntervalWidth": "30_000"},
}


def outputs_of(folder: Path, text: str, record: str = "", **more: str) -> list[tuple[int, int]]:
    """The intervals of the outputs of a program in its first second, which may be recorded, too."""
    program = folder / "prog.py"
    program.write_text(text)
    if record:
        options = [part for name, value in more.items() for part in (f"--{name.replace('_', '-')}", value)]
        assert ticktalk("simulate", str(program), "--until", "1s", "--record", record, *options).exit_code == 0
    return [(int(token.start), int(token.stop)) for token in simulate(program, until="1s", **more).outputs]  # type: ignore[arg-type]


def pair(settings: dict[str, dict[str, str]]) -> str:
    return PAIR.format(**{of: ", ".join(f"{n}={v}" for n, v in given.items()) for of, given in settings.items()})


def test_changes_are_tried_and_the_program_that_is_changed_so_gives_the_output(tmp_path: Path) -> None:
    file = str(tmp_path / "pair.mcap")
    assert not outputs_of(tmp_path, pair(NOW), file)
    lines = ticktalk("explain", file, "--missing", "show-1@400ms").stdout.splitlines()
    # x has [390, 410). y has [335, 365) and [435, 465): it meets x at 400 if it is as wide as from 350 to there, twice
    # and one tick; or at the same phase; or twice as often.
    wanted = [
        ("TTPhase", "0", "lidar", "0s; now 50ms", (390_000, 410_000), "[390ms, 410ms)"),
        ("TTDataIntervalWidth", "100001", "lidar", "100.001ms; now 30ms", (390_000, 400_001), "[390ms, 400.001ms)"),
        ("TTPeriod", "50000 and TTPhase=0", "lidar", "50ms; now 100ms", (390_000, 410_000), "[390ms, 410ms)"),
    ]
    for name, value, of, told, interval, shown in wanted:
        assert f"    with {name}={value} of {of}-1 ({told}) it comes, on {shown}" in lines
        changed = dict(part.split("=") for part in f"{name}={value}".split(" and "))
        assert interval in outputs_of(tmp_path, pair({**NOW, of: {**NOW[of], **changed}}))
    for call, interval, shown in (
        ("RESAMPLE({}, TTPeriod=100ms, TTPhase=0s)", (390_000, 410_000), "[390ms, 410ms)"),
        ("ADD_TIME_DELAY({}, delay=-50000)", (390_000, 410_000), "[390ms, 410ms)"),
    ):
        assert f"    with {call.format('...')} before `y` of fuse-1 it comes, on {shown}" in lines
        by = call.format("y").replace("100ms", "100_000").replace("0s", "0")
        assert interval in outputs_of(tmp_path, pair(NOW).replace("fuse(x, y))", f"fuse(x, {by}))"))


def test_a_change_with_which_streams_would_fire_far_too_often_is_not_tried(tmp_path: Path) -> None:
    file = str(tmp_path / "narrow.mcap")
    now = {of: {**given, "TTDataIntervalWidth": "2"} for of, given in NOW.items()}  # to hold always: each 2 us
    assert not outputs_of(tmp_path, pair(now), file)
    lines = ticktalk("explain", file, "--missing", "show-1@400ms").stdout.splitlines()
    assert "    with TTPhase=0 of lidar-1 (0s; now 50ms) it comes, on [399.999ms, 400.001ms)" in lines
    assert lines[-1] == "    not tried, for it would have taken long: 1 more"


def test_an_interrupt_ends_the_trying_and_not_the_explanation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*what: object, **more: object) -> None:
        raise KeyboardInterrupt  # Ctrl-C, while a body runs

    file = str(tmp_path / "slow.mcap")
    assert not outputs_of(tmp_path, pair(NOW), file)
    monkeypatch.setattr("ticktalk.cli.tried_changes.simulated", interrupted)
    told = ticktalk("explain", file, "--missing", "show-1@400ms")
    assert told.exit_code == 0 and "fuse-1: nearest miss:" in told.stdout
    assert told.stdout.endswith("  which changes make it come is not known: the trying was interrupted\n")


def test_no_body_runs_again_where_no_changes_may_be_tried(tmp_path: Path) -> None:
    file, ran = str(tmp_path / "pair.mcap"), tmp_path / "ran"
    text = pair(NOW).replace("    return x\n", f"    open({str(ran)!r}, 'w').close()\n    return x\n")
    assert not outputs_of(tmp_path, text, file)
    ask = "explain", file, "--missing", "show-1@400ms"
    told = ticktalk(*ask, "--no-tries").stdout
    assert "fuse-1: nearest miss:" in told and "tried on" not in told and not ran.exists()
    assert "tried on" in ticktalk(*ask).stdout and ran.exists()


def test_where_bodies_raise_only_in_the_runs_that_try_changes_it_is_said(tmp_path: Path) -> None:
    file, program = str(tmp_path / "arm.mcap"), tmp_path / "prog.py"
    program.write_text(pair(NOW).replace("return [x, y]", 'return component("arm") + [x, y]'))
    (tmp_path / "driver.py").write_text("def arm():\n    return []\n")
    ensembles = "--ensemble", "a=arm", "--ensemble", "b", "--component", "a.arm=driver:arm"
    assert ticktalk("simulate", str(program), "--until", "1s", "--record", file, *ensembles).exit_code == 0
    told = ticktalk("explain", file, "--missing", "show-1@400ms").stdout.splitlines()
    assert told[-3].endswith("no change makes it come")
    assert told[-2] == "    bodies raised in these runs, but not in the recording: fuse-1. So it may come all the same."


def test_a_changed_deployment_is_told_where_changes_are_tried(tmp_path: Path) -> None:
    file, deployment = str(tmp_path / "pair.mcap"), tmp_path / "site.yaml"
    deployment.write_text("ensembles: [{name: a}, {name: b}]\n")
    program = tmp_path / "prog.py"
    program.write_text(pair(NOW))
    recorded = ticktalk("simulate", str(program), "--until", "1s", "--record", file, "--deployment", str(deployment))
    assert "no costs are given for cam" in recorded.stderr
    told = ticktalk("explain", file, "--missing", "show-1@400ms")
    assert "it comes, on [390ms, 410ms)" in told.stdout and not told.stderr
    deployment.write_text("ensembles: [\n")
    assert "  changes could not be tried: " in ticktalk("explain", file, "--missing", "show-1@400ms").stdout
    deployment.unlink()
    told = ticktalk("explain", file, "--missing", "show-1@400ms").stdout
    assert f"  there is no file {deployment} here: runs have no --deployment." in told and "tried on" in told


LATE = """
from ticktalk import *
@STREAMify
def cam(t):
    return 7
@SQify
def slow(x):
    return x
@SQify
def guess():
    return TTEmpty()
@GRAPHify
def main(trigger):
    with TTConstraint(name="far"):
        tag, x = cam(trigger, TTPeriod=100_000)
    with TTConstraint(name="here"):
        return TTFinishByOtherwise(slow(x), TTTimeDeadline=tag + {due}, TTPlanB=guess())
"""


def test_a_later_deadline_is_tried(tmp_path: Path) -> None:
    file = str(tmp_path / "late.mcap")
    assert not outputs_of(tmp_path, LATE.format(due=15_000), file, network_delay="20ms")
    told = ticktalk("explain", file, "--missing", "TTFinishByOtherwise-1@200ms").stdout
    # It is due at 215 ms; the data comes at 220, and has to come before it.
    line = "with a TTTimeDeadline of TTFinishByOtherwise-1 that is 5.001ms later it comes, on [175ms, 225ms)"
    assert f"    {line}" in told.splitlines()
    assert (175_000, 225_000) in outputs_of(tmp_path, LATE.format(due=20_001), network_delay="20ms")
    assert (175_000, 225_000) not in outputs_of(tmp_path, LATE.format(due=20_000), network_delay="20ms")


def test_where_the_program_is_not_the_cause_it_is_said(tmp_path: Path) -> None:
    file, events = str(tmp_path / "cut.mcap"), tmp_path / "cut.yaml"
    events.write_text("- {at: 650ms, link: {between: [far, here], latency: 40ms}}\n")
    assert len(outputs_of(tmp_path, LATE.format(due=15_000), file, network_delay="10ms", events=str(events))) == 6
    ask = "explain", file, "--missing", "TTFinishByOtherwise-1@700ms"
    line = "with a TTTimeDeadline of TTFinishByOtherwise-1 that is 25.001ms later it comes, on [675ms, 725ms)"
    assert f"    {line}" in ticktalk(*ask).stdout.splitlines()
    events.unlink()  # as a recording of devices has none: there a token usually takes 10 ms
    alone = "the recorded streams alone, simulated, make it come, on [675ms, 725ms): the program is not the cause"
    assert alone in ticktalk(*ask).stdout


GAP = """
from ticktalk import *
@STREAMify
def cam(t):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return TTEmpty() if 3 < n < 7 else n
@GRAPHify
def main(trigger):
    return RESAMPLE(cam(trigger, TTPeriod=100_000), TTPeriod=50_000, TTMaxGap={gap})
"""


UNMATCHED = """
from ticktalk import *
@STREAMify
def left(t):
    return 1
@STREAMify
def right(t):
    return 2
@SQify
def pair(a, b):
    return a, b
@SQify
def alone(value, interval, missing):
    return missing
@GRAPHify
def main(trigger):
    a = left(trigger, TTPeriod=s(10), TTDataIntervalWidth=s(1))
    return pair(a, right(trigger, TTPeriod=s(5), TTDataIntervalWidth=s(1)), TTUnmatched=alone)
"""


def test_a_token_that_went_to_the_handler_of_unused_ones_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(UNMATCHED)
    made = tmp_path / "run.mcap"
    assert ticktalk("simulate", str(tmp_path / "prog.py"), "--until", "60s", "--record", str(made)).exit_code == 0
    told = ticktalk("explain", str(made), "--missing", "pair-1@5s", "--no-tries").stdout
    assert "did send" not in told
    assert "pair-1: `b` had [4.5s, 5.5s) since 5s; it left at 40s: evicted" in told and "nothing came on a" in told


def test_samples_that_are_too_far_apart(tmp_path: Path) -> None:
    file = str(tmp_path / "gap.mcap")
    assert (375_000, 425_000) not in outputs_of(tmp_path, GAP.format(gap=150_000), file)
    told = ticktalk("explain", file, "--missing", "RESAMPLE-1@420ms").stdout.splitlines()
    assert "    with TTMaxGap=400000 of RESAMPLE-1 it comes, on [375ms, 425ms)" in told
    assert (375_000, 425_000) in outputs_of(tmp_path, GAP.format(gap=400_000))
    # The firing on [75 ms, 125 ms), of the first sample, gave nothing; the next one did, for the same time.
    told = ticktalk("explain", file, "--missing", "RESAMPLE-1@120ms").stdout.splitlines()
    assert told[1] == "  RESAMPLE-1: it did send: RESAMPLE-1"


def test_an_instant_that_did_not_come_is_no_fault_of_the_period(tmp_path: Path) -> None:
    file, events = str(tmp_path / "dead.mcap"), tmp_path / "dead.yaml"
    events.write_text("- {at: 450ms, fail: a}\n")
    settings = {**NOW, "lidar": {**NOW["lidar"], "TTPhase": "0"}}
    assert (690_000, 710_000) not in outputs_of(tmp_path, pair(settings), file, events=str(events))
    told = ticktalk("explain", file, "--missing", "show-1@700ms").stdout
    assert (
        "cam-1: its instant at 700ms did not come; the nearest has [390ms, 410ms): its ensemble 'a' had failed" in told
    )
    assert "nothing is recorded there after 400ms" in told
    assert "TTDataIntervalWidth" not in told and "TTPhase" not in told


SPARE = """
from ticktalk import *
@STREAMify
def cam(t):
    return 7
@SQify
def twice(x):
    return 2 * x
@GRAPHify
def main(trigger):
    with TTConstraint(name=["box", "spare"]):
        x = cam(trigger, TTPeriod=ms(250))
    with TTConstraint(name=["pole", "other"]):
        return twice(x)
"""


@pytest.mark.parametrize("time", ["2s", "2750ms"])
def test_what_is_missing_because_its_ensemble_was_down_names_that(tmp_path: Path, time: str) -> None:
    (tmp_path / "prog.py").write_text(SPARE)
    (tmp_path / "events.yaml").write_text("- {at: 1s, fail: box}\n- {at: 6s, fail: pole}\n")
    file, events = str(tmp_path / "run.mcap"), str(tmp_path / "events.yaml")
    run = ["simulate", str(tmp_path / "prog.py"), "--until", "10s", "--network-delay", "1ms", "--events", events]
    assert ticktalk(*run, "--record", file).exit_code == 0
    told = ticktalk("explain", file, "--missing", f"twice-1@{time}").stdout.splitlines()
    assert told[1] == f"  twice-1: nothing that holds at {time.replace('2750ms', '2.75s')} came on `x`"
    assert told[2].startswith(
        f"    cam-1: its instant at {time.replace('2750ms', '2.75s')} did not come: its ensemble 'box'"
    )
    assert told[2].endswith(
        "had failed or was cut off: nothing of it is recorded there after 750ms, and it went on on 'spare' at 3s"
    )
    assert len(told) == 3  # no change of the program is tried
    told = ticktalk("explain", file, "--missing", "twice-1@7s").stdout.splitlines()
    assert told[1].endswith(
        "which cam-1 sent at 7s: it was lost; its ensemble 'pole' had failed or was cut off: nothing of it is recorded"
        " there after 5.751s, and it went on on 'other' at 8s"
    )
    assert "did send" in ticktalk("explain", file, "--missing", "cam-1@9s").stdout


def test_a_token_that_was_lost_on_its_way_is_no_fault_of_the_program(tmp_path: Path) -> None:
    file, events = str(tmp_path / "cut.mcap"), tmp_path / "cut.yaml"
    events.write_text("- {at: 650ms, cut: [far, here]}\n- {at: 750ms, heal: [far, here]}\n")
    assert (675_000, 725_000) not in outputs_of(tmp_path, LATE.format(due=15_000), file, events=str(events))
    told = ticktalk("explain", file, "--missing", "TTFinishByOtherwise-1@700ms").stdout
    assert "it was lost on its way" in told and "it comes, on" not in told


def test_an_output_that_only_holds_longer_is_not_the_missing_one(tmp_path: Path) -> None:
    """With a wider interval an output that was there comes nearer to the moment, and is still another one."""
    file = str(tmp_path / "wide.mcap")
    wide = {"TTPeriod": "100_000", "TTDataIntervalWidth": "100_000"}
    settings = {"cam": wide, "lidar": {"TTPeriod": "200_000", "TTDataIntervalWidth": "20_000"}}
    had = outputs_of(tmp_path, pair(settings), file)
    assert had and not any(start <= 500_000 < stop for start, stop in had)
    told = ticktalk("explain", file, "--missing", "show-1@500ms").stdout
    found = re.findall(r"it comes, on \[(\S+)ms, (\S+)ms\)", told)
    assert found
    for begin, end in found:
        holds = float(begin) <= 500 < float(end)
        assert holds or not any(max(start / 1000, float(begin)) < min(stop / 1000, float(end)) for start, stop in had)


def test_instants_of_a_start_that_is_on_no_grid_are_those_of_the_root_clock(tmp_path: Path) -> None:
    """On devices a graph starts at any tick."""
    file, program = str(tmp_path / "odd.mcap"), tmp_path / "prog.py"
    program.write_text(pair(NOW))
    assert ticktalk("simulate", str(program), "--until", "1s", "--start", "7033us", "--record", file).exit_code == 0
    # The instants of cam are at 92.967 ms after the start, 192.967, ...: none is at 420, which is 427.033 by the clock.
    told = ticktalk("explain", file, "--missing", "cam-1@420ms").stdout
    assert "cam-1: no instant has an interval that holds this tick; the nearest is [382.967ms, 402.967ms)" in told
    assert "with TTPhase=27033 of cam-1 (27.033ms; now 0s) it comes, on [410ms, 430ms)" in told
    told = ticktalk("explain", file, "--missing", "cam-1@407ms").stdout
    assert "did not come" not in told and "tried on the recorded streams" in told
