"""`ticktalk replay` and `inspect`: the same outputs as the run, 1 where it departs, and how things stood at a time."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

import commands
from programs import HEAD
from ticktalk.cli.inspect_command import _show
from ticktalk.cli.replay import tell_replayed
from ticktalk.cli.what_if import tell
from ticktalk.recording.moment import Moment
from ticktalk.recording.outputs_compared import ComparedOutput, Comparison, Difference

PROGRAM = (
    HEAD
    + """
import random
@SQify
def luck(x):
    return random.random()
@SQify
def both(x, y):
    return x + y
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        tag, x = count(trigger, TTPeriod=ms(100))
        due = tag + 40000
    with TTConstraint(name="b"):
        y = total(x)
        luck(x)
    with TTConstraint(name="a"):
        z = TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())
        return both(z, x)
"""
)


ticktalk = functools.partial(commands.ticktalk, COLUMNS="200", NO_COLOR="1")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A recording of a second, and the outputs of the run."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "prog.py").write_text(PROGRAM)
    path = str(folder / "run.mcap")
    # A token takes 25 ms, so data come 50 ms after their tag: 10 ms late.
    done = ticktalk(
        "simulate", str(folder / "prog.py"), "--until", "1s", "--network-delay", "25ms", "--jsonl", "--record", path
    )
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_an_output_is_told_with_the_ensemble_that_gave_it(tmp_path: Path) -> None:
    program = PROGRAM.replace('name="a"', 'name=["a", "spare"]')
    (tmp_path / "prog.py").write_text(program.replace("random.random()", "0"))
    (tmp_path / "events.yaml").write_text("- {at: 450ms, fail: a}\n")
    path, events = str(tmp_path / "run.mcap"), str(tmp_path / "events.yaml")
    run = ["simulate", str(tmp_path / "prog.py"), "--until", "4s", "--events", events, "--record", path]
    done = ticktalk(*run, "--network-delay", "1ms")
    assert " on a: " in done.stdout and " on spare: " in done.stdout
    assert ticktalk("replay", path).stdout == done.stdout


def of_sq(text: str, sq: str) -> list[dict]:
    return [row for row in map(json.loads, text.splitlines()) if row["sq"] == sq]


def test_a_replay_prints_the_outputs_and_says_that_all_is_as_it_was(recording: tuple[str, str]) -> None:
    path, outputs = recording
    done = ticktalk("replay", path, "--jsonl", "--recorded", "luck-1")
    assert done.returncode == 0, done.stderr
    for sq in ("both-1", "luck-1"):
        assert of_sq(done.stdout, sq)[: len(of_sq(outputs, sq))] == of_sq(outputs, sq) != []
    assert "each is as it was recorded" in done.stderr


def test_speed_changes_nothing(recording: tuple[str, str]) -> None:
    path, _ = recording
    words = ["replay", path, "--jsonl", "--recorded", "luck-1"]
    assert ticktalk(*words, "--speed", "10").stdout == ticktalk(*words).stdout


def test_a_body_that_is_not_the_same_again_departs(recording: tuple[str, str]) -> None:
    path, _ = recording
    done = ticktalk("replay", path)
    assert done.returncode == 1
    assert "the run departs from its recording, first here:\n  luck-1: token 1 on arc luck-1/0 was 0." in done.stderr
    assert "other rules" not in done.stderr


def test_a_recording_by_other_rules_may_depart(recording: tuple[str, str]) -> None:
    later = f"""\
import sys
import ticktalk.recording.setup
from ticktalk.cli.main import main
ticktalk.recording.setup.RULES += 1
sys.argv = ["ticktalk", "replay", {recording[0]!r}]
main()
"""
    done = subprocess.run([sys.executable, "-c", later], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"it was recorded by other rules, of TickTalk {version('ticktalk')}: tokens that" in done.stderr


def test_parts_of_a_run(recording: tuple[str, str]) -> None:
    path, _ = recording
    words = ["replay", path, "--jsonl", "--recorded", "luck-1"]
    whole = of_sq(ticktalk(*words).stdout, "both-1")
    part = of_sq(ticktalk(*words, "--from", "300ms", "--to", "600ms").stdout, "both-1")
    assert [row["value"] for row in whole] == [-1 + n for n in range(1, 10)]
    assert part == whole[2:5]  # those of 300 and 400 ms come 40 ms later, when their deadline is
    assert of_sq(ticktalk(*words, "--until", "450ms").stdout, "both-1") == whole[:4]
    for *given, told in (
        ["--from", "600ms", "--to", "300ms", "--from 600ms is not before the end that --to or --until gives"],
        ["--from", "5s", "--from 5s: the recording ends 950ms after the start"],
    ):
        done = ticktalk(*words, *given)
        assert (done.returncode, done.stdout) == (2, "") and told in done.stderr
    counts = [int(ticktalk(*words, *part).stderr.split()[0]) for part in ([], ["--from", "450ms"], ["--to", "450ms"])]
    assert counts[0] == counts[1] + counts[2], "only the tokens of the part are counted"


def test_how_things_stood(recording: tuple[str, str]) -> None:
    """At 330 ms: the third data are on their way back, so their deadline is open; the deadline has no data."""
    path, _ = recording
    done = ticktalk("inspect", path, "--at", "330ms", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["tick"], found["after_us"]) == (330_000, 330_000)
    sqs = {each["sq"]: each for each in found["sqs"]}
    assert sqs["TTFinishByOtherwise-1"]["deadlines"] == [[275_000, 325_000, 340_000]]
    assert sqs["both-1"]["tokens"] == [{"port": "y", "start": 275_000, "stop": 325_000, "value": "3", "stays": False}]
    assert (sqs["total-1"]["state"], sqs["total-1"]["firings"], sqs["total-1"]["ensemble"]) == ("{'sum': 6}", 3, "b")
    assert (sqs["count-1"]["instant"], sqs["count-1"]["state"]) == (400_000, "{'n': 3}")
    later = json.loads(ticktalk("inspect", path, "--at", "330ms", "--step", "1", "--json").stdout)
    assert later["tick"] == 340_000
    earlier = json.loads(ticktalk("inspect", path, "--at", "330ms", "--step", "-1", "--json").stdout)
    assert earlier["tick"] == 325_000
    past = ticktalk("inspect", path, "--at", "5s", "--json")
    assert "the recording ends 950ms after the start: this is how it was then" in past.stderr
    assert "the recording ends" not in done.stderr
    shown = ticktalk("inspect", path, "--at", "330ms", "--sq", "total-1").stdout
    assert "330ms after the start" in shown and "{'sum': 6}" in shown and "both-1" not in shown


def test_files_that_are_no_recordings_are_refused(recording: tuple[str, str], tmp_path: Path) -> None:
    path, _ = recording
    (tmp_path / "no.mcap").write_bytes(b"no")
    (tmp_path / "empty.mcap").touch()
    (tmp_path / "cut.mcap").write_bytes(Path(path).read_bytes()[:500])
    made_by = "; `ticktalk simulate|run|manager --record FILE.mcap` makes one"
    for words, text in (
        (["replay", str(tmp_path / "no.mcap")], "not a recording of ticktalk: no MCAP file" + made_by),
        (["explain", str(tmp_path / "no.mcap"), "a-1@1s"], "not a recording of ticktalk: no MCAP file" + made_by),
        (["explain", str(tmp_path / "empty.mcap"), "a-1@1s"], "not a recording of ticktalk: it is empty" + made_by),
        (["inspect", str(tmp_path / "cut.mcap")], "or cut off: it does not say which graph ran" + made_by),
        (["replay", path, "--context", "7"], "no start 7 was recorded (there are: 1)"),
        (["replay", path, "--recorded", "nobody-1"], "the recorded graph has no such SQ"),
        (["inspect", path, "--sq", "luck-2"], "the recorded graph has no such SQ; did you mean `luck-1`?"),
        (["inspect", str(tmp_path / "gone.mcap")], "the recording cannot be read: No such file"),
        (["explain", str(tmp_path / "gone.mcap"), "a-1@1s"], "the recording cannot be read: No such file"),
        (["export", str(tmp_path / "gone.mcap"), "--to", "csv"], "the recording cannot be read: No such file"),
        (["replay", str(tmp_path)], "the recording cannot be read: Is a directory"),
    ):
        done = ticktalk(*words)
        assert done.returncode == 1 and text in done.stderr and "Traceback" not in done.stderr


def test_a_replay_under_other_circumstances_tells_the_difference(recording: tuple[str, str]) -> None:
    path, _ = recording
    words = ["replay", path, "--recorded", "luck-1", "--expect-same", "both-1"]
    same = ticktalk(*words, "--json")
    assert same.returncode == 0, same.stderr
    (both,) = [each for each in json.loads(same.stdout)["outputs"] if each["name"] == "both-1"]
    assert (both["recorded"], both["same"], both["later"]) == (9, 9, [0, 0])
    # A token takes 5 ms, so data come before their deadline.
    faster = ticktalk(*words, "--network-delay", "5ms")
    assert faster.returncode == 1 and "not the same as in the recording: both-1" in faster.stderr
    assert "plan_b: 9 in the recording, 0 now" in faster.stdout
    wrong = ticktalk(*words, "--speed", "2")
    assert wrong.returncode == 2 and "--speed is for a replay as it was" in wrong.stderr


def test_a_replay_goes_on_live_as_if_the_run_had_not_stopped(recording: tuple[str, str]) -> None:
    """Up to 1.5 s: a run of 1.5 s has these outputs, but for those of random numbers."""
    path, _ = recording
    words = ["replay", path, "--jsonl", "--recorded", "luck-1", "--then-live"]
    done = ticktalk(*words, "--until", "1500ms")
    assert done.returncode == 0, done.stderr
    rows = of_sq(done.stdout, "both-1")
    # The n-th instant is at n * 100 ms. Its data come 10 ms late, so it is the plan B's -1 + n.
    assert [row["value"] for row in rows] == [-1 + n for n in range(1, 15)]
    assert [row["start"] for row in rows] == [100_000 * n - 25_000 for n in range(1, 15)]
    assert "goes on live, 950.001ms after its start" in done.stderr and "plan_b: 5 " in done.stderr
    early = ticktalk(*words, "--until", "500ms")
    assert early.returncode == 2 and "the recording goes on up to 950.001ms" in early.stderr
    cut = ticktalk(*words, "--to", "500ms", "--until", "700ms")
    assert of_sq(cut.stdout, "both-1") == rows[:6]
    astray = ticktalk("replay", path, "--then-live")
    assert astray.returncode == 1 and "so it does not go on live" in astray.stderr
    alone = ticktalk("replay", path, "--component", "a.camera=x:y")
    assert alone.returncode == 2 and "--component is for --then-live" in alone.stderr


@pytest.mark.parametrize(
    ("option", "begun", "status"), [("--then-live", "goes on live", 0), ("--speed=0.01", "the dashboard is at", 130)]
)
def test_an_interrupt_ends_the_replay_though_a_page_shows_it(
    option: str, begun: str, status: int, recording: tuple[str, str]
) -> None:
    words = ["replay", recording[0], "--recorded", "luck-1", "--web", "0", option]
    with subprocess.Popen(
        [sys.executable, "-m", "ticktalk.cli.entry", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background of a shell, it has them ignore this signal, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:
        try:
            assert run.stderr is not None
            assert any(begun in line for line in run.stderr), "it has begun"
            run.send_signal(signal.SIGINT)
            assert run.wait(60) == status
        finally:
            run.kill()


def test_a_replay_without_tokens_does_not_say_that_each_was_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    tell_replayed(Counter(), [], Counter(), [])
    assert capsys.readouterr().err == "no token is in the recording, so there was nothing to compare\n"


def test_a_replay_of_a_time_without_tokens_says_when_there_are_some(recording: tuple[str, str]) -> None:
    done = ticktalk("replay", recording[0], "--until", "1us")
    assert done.returncode == 0 and "no token was sent in that time, so there was nothing to compare: " in done.stderr
    assert "tokens were sent from 100ms to 940ms" in done.stderr


def test_names_of_a_recording_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A file says what ensembles and SQs are called: anything."""
    name = "\x1b[2J\u202edog"
    _show([Moment(name, name, [], [], [], name, None, 0)], 0, 0)
    differs = Difference("gone", 0, name, "")
    compared = ComparedOutput(name, 1, 0, 0, 1, 0, (0, 0), [differs])
    tell(Comparison([compared], {name: (1, 2)}), json=False, start=0)
    shown = capsys.readouterr().out
    assert shown.count(r"\x1b[2J\u202edog") == 7
    assert shown.replace("\n", "").isprintable()
