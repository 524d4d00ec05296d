"""Small things that stop people: a bare `stop` asks, tables are whole in a pipe, a wrong factory is named at once."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import ticktalk
from ticktalk.cli.arguments import length, own_components
from ticktalk.cli.console import Results
from ticktalk.cli.main import COMMANDS
from ticktalk.cli.new import new
from ticktalk.cli.placement import placement
from ticktalk.cli.tables import add, not_written, table, terminal
from ticktalk.errors import TTError, TTMappingError
from ticktalk.language.compiler import compile_source
from ticktalk.manager.events import StateNotWritten

TICKTALK = [sys.executable, "-m", "ticktalk"]
NOBODY = "127.0.0.1:9"
PROGRAM = "from ticktalk import *\n@GRAPHify\ndef main(trigger): return trigger + 1\n"


def test_a_state_that_cannot_be_written_is_told_as_the_event_tells_it() -> None:
    status = {"state": {"folder": "mgr.state", "failure": "disk full"}}
    assert not_written(status) == [str(StateNotWritten("mgr.state", "disk full"))]


def test_stop_without_a_graph_wants_yes_where_nobody_can_be_asked() -> None:
    done = ticktalk("stop", "--manager", NOBODY)
    assert done.returncode == 2 and "give --yes if you mean it" in done.stderr


def test_stop_without_a_graph_asks_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"n\n")
        command = [*TICKTALK, "stop", "--manager", NOBODY]
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=120)
    finally:
        os.close(ours)
        os.close(theirs)
    # It has not tried to reach the manager.
    assert done.returncode == 1 and "the manager and every ensemble?" in done.stderr and "nobody" not in done.stderr
    assert done.stdout.strip() == ""


def test_a_graph_file_is_not_compiled_again() -> None:
    done = ticktalk("compile", "prog.json")
    assert done.returncode == 2 and "prog.json: a graph file is compiled already; name the program" in done.stderr


def test_one_input_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    assert ticktalk("compile", "prog.py", cwd=tmp_path).stderr.strip() == "prog.json: 1 SQ, 1 input, 1 output"


@pytest.mark.parametrize("name", ["simpy", "yaml"])
def test_a_new_project_hides_no_installed_module(name: str, tmp_path: Path) -> None:
    done = ticktalk("new", name, cwd=tmp_path)
    assert done.returncode == 2 and f"the installed module '{name}' would be hidden" in done.stderr
    assert not (tmp_path / name).exists()


def test_a_new_project_without_room_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def full(path: Path, *arguments: Any) -> int:
        if path.name == "README.md":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *arguments)

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        with pytest.raises(TTError, match="pump: cannot be made: No space left on device"):
            new("pump")
    new("pump")
    assert (tmp_path / "pump" / "README.md").exists()


def test_tables_are_not_cut_where_they_are_piped(capsys: pytest.CaptureFixture[str]) -> None:
    made = table("ensemble", "SQs")
    names = ", ".join(f"a-rather-long-name-of-an-sq-{number}" for number in range(100))
    add(made, "edge", names)
    terminal().print(made)
    assert names in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "factory", "told"),
    [
        ("ensemble", "nowhere:Camera", "there is no module 'nowhere'"),
        ("simulate", "json:Camera", "'json' has no 'Camera'"),
        ("run", "json:Camera", "'json' has no 'Camera'"),
        ("simulate", "json:_default_encoder", "it is a value of type JSONEncoder: name a class, or a function"),
        ("simulate", "asyncio:sleep", "the factory is an `async def`, and nothing awaits it: write a plain `def`"),
    ],
)
def test_a_wrong_factory_is_named_at_the_start(command: str, factory: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    words = ["prog.py", "--ensemble", "edge", "--component", f"edge.camera={factory}"]
    if command == "ensemble":
        words = ["edge", "--manager", NOBODY, "--component", f"camera={factory}"]
    done = ticktalk(command, *words, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == "", done
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: component 'camera' of ensemble 'edge' ({factory}): ") and told in line


@pytest.mark.parametrize("terminal_kind", ["xterm", "dumb"])
def test_results_stand_in_lines_of_their_own_beside_a_progress_bar(terminal_kind: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(
        "from ticktalk import *\n@STREAMify\ndef src(trigger): return 7\n"
        "@GRAPHify\ndef main(trigger): return src(trigger, TTPeriod=100_000)\n"
    )
    command = [*TICKTALK, "simulate", "prog.py", "--until", "550ms"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": terminal_kind}
    try:
        done = subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment)
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # so Linux says that the other end is closed
            pass
        assert done.wait(60) == 0
    finally:
        os.close(ours)
    # A terminal shows of each line what comes after the last time it was cleared.
    lines = [line.rpartition("\x1b[2K")[2].strip("\r") for line in shown.decode().split("\n")]
    wanted = [f"[{at - 25}ms, {at + 25}ms)  src-1 on runtime-manager:  7" for at in range(100, 550, 100)]
    assert [line for line in lines if "src-1" in line] == wanted, shown.decode()
    assert ("simulating" in shown.decode()) == (terminal_kind == "xterm")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("edg.camera", "wants component 'camera' on 'edge', which only 'edg' has"),
        ("edge.camra", "wants component 'camera', which no ensemble has"),
    ],
)
def test_a_mistyped_component_is_told_with_the_given_ones(given: str, told: str) -> None:
    text = (
        "from ticktalk import *\n@SQify\ndef f(t): return component('camera')\n@GRAPHify\ndef main(t):\n"
        "    with TTConstraint(name='edge'):\n        return f(t)\n"
    )
    graph = compile_source(text, "prog.py", "prog")
    with pytest.raises(TTMappingError) as raised:
        placement(graph, [], [f"{given}=drivers:Camera"], None, None)
    assert str(raised.value) == (
        f"f-1 (line 7) {told}, so nothing was instantiated: add --component edge.camera=MODULE:FACTORY (given: {given})"
    )
    assert placement(graph, [], ["edge.camera=drivers:Camera"], None, None).ensembles.keys() == {"edge"}


def test_the_form_for_reports_asks_for_what_a_command_prints() -> None:
    """Of each form: the fields that GitHub needs, and only kinds that it knows."""
    forms = sorted((Path(__file__).parents[2] / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [form.name for form in forms] == ["bug.yml", "feature.yml"]
    for form in forms:
        found = yaml.safe_load(form.read_text("utf-8"))
        assert found["name"] and found["description"]
        assert {each["type"] for each in found["body"]} <= {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        idents = [each["id"] for each in found["body"]]
        assert len(set(idents)) == len(idents) and all(each["attributes"]["label"] for each in found["body"])
        for word in re.findall(r"`ticktalk (\w+)", form.read_text("utf-8")):
            assert word in COMMANDS


def test_a_time_without_a_unit_is_told_with_its_option(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    for option in ("--until", "--network-delay", "--notice", "--checkpoint"):
        done = ticktalk("simulate", "prog.py", option, "1000", cwd=tmp_path)
        assert done.returncode == 2 and f"{option} '1000' is no duration: write a number and a unit" in done.stderr


@pytest.mark.parametrize("text", ["99999999999999h", "9" * 5000 + "s", f"{2**61 + 1}us", "0." + "0" * 200 + "1s"])
def test_a_time_beyond_all_that_a_message_names_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    for option in ("--until", "--start-at", "--network-delay"):
        done = ticktalk("simulate", "prog.py", "--until", "1s", option, text, cwd=tmp_path)
        assert done.returncode == 2 and "73,000 years" in done.stderr and text[:50] in done.stderr
        assert len(done.stderr) < 1_000 and "Traceback" not in done.stderr
    done = ticktalk("simulate", "prog.py", "--start-at", str(2**61 - 10), "--until", "1s", cwd=tmp_path)
    assert done.returncode == 2 and "--until '1s' is too long" in done.stderr
    assert length("1s", 2**61 - 1_000_000) == 1_000_000


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "prog.py", "--until", "1s", "--profile", "x" * 5000),
        ("compile", "prog.py", "-o", "x" * 5000),
        ("keys", "init", "--address", "127.0.0.1", "--directory", "x" * 5000),
    ],
)
def test_a_name_that_no_file_can_have_is_told_in_a_line(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    done = ticktalk(*words, cwd=tmp_path)
    assert done.returncode == 1 and len(done.stderr) < 500 and "Traceback" not in done.stderr
    assert "more characters): no file can have so long a name" in done.stderr


@pytest.mark.parametrize("speed", ["nan", "inf", "9" * 400])
def test_a_speed_that_is_no_number_is_refused(speed: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    ticktalk("simulate", "prog.py", "--until", "1s", "--record", "run.mcap", cwd=tmp_path)
    done = ticktalk("replay", "run.mcap", "--speed", speed, cwd=tmp_path)
    assert done.returncode == 2 and "give a number, such as 2" in done.stderr, done.stderr
    done = ticktalk("explore", "prog.py", "--until", "1s", "--jobs", "999999999999", cwd=tmp_path)
    assert done.returncode == 2 and "1<=x<=1000" in done.stderr


@pytest.mark.parametrize("slow", [False, True])
def test_a_progress_bar_moves_however_long_a_run_is(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(10**9)) if slow else iter([0] * 10**4)
    monkeypatch.setattr("ticktalk.cli.console.time.monotonic", lambda: next(seconds))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    ticks = list(islice(Results(True, lambda: None).progress(5, 2**60), 1000))
    steps = [after - before for before, after in pairwise([5, *ticks])]
    assert min(steps) > 0 and steps[0] == 1_000_000
    if slow:
        assert max(steps) == steps[0], "each takes a second: none gets longer"
    else:
        assert ticks[-1] == 2**60 and len(ticks) < 200 and max(steps) <= 2**60 // 100
    for long in (100, 101, 12_345):
        assert list(Results(True, lambda: None).progress(7, 7 + long))[-1] == 7 + long


def test_watch_is_for_a_replacement(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    done = ticktalk("deploy", "prog.py", "--watch", "5s", "--manager", NOBODY, cwd=tmp_path)
    assert done.returncode == 2 and "--watch is for a version that replaces another: give --replace, too" in done.stderr


def test_a_graph_is_printed_where_its_file_is_a_dash(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    done = ticktalk("compile", "prog.py", "-o", "-", cwd=tmp_path)
    assert done.returncode == 0 and not (tmp_path / "-").exists()
    assert json.loads(done.stdout)["graph"]["name"] == "prog"


def test_no_option_has_the_program_overwritten(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    compiled = ticktalk("compile", "prog.py", "-o", "prog.py", cwd=tmp_path)
    assert compiled.returncode == 2 and "give it a name in .json" in compiled.stderr
    recorded = ticktalk("simulate", "prog.py", "--record", "prog.py", cwd=tmp_path)
    assert recorded.returncode == 1 and "that is the file of the program, which would be lost" in recorded.stderr
    assert (tmp_path / "prog.py").read_text() == PROGRAM


def test_a_mapping_overwrites_no_file_that_it_is_made_of(tmp_path: Path) -> None:
    files = {"prog.py": PROGRAM, "devices.yaml": "ensembles: [{name: edge}]\ncosts: {ADD: {time: 1ms}}\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    for name, what in (("prog.py", "the program"), ("devices.yaml", "--deployment")):
        done = ticktalk("map", "prog.py", "--deployment", "devices.yaml", "-o", name, cwd=tmp_path)
        assert done.returncode == 1 and f"{name}: that is the file of {what}, which would be lost" in done.stderr
        assert (tmp_path / name).read_text() == files[name]


def test_a_graph_goes_into_a_pipe_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert ticktalk("compile", "prog.py", "-o", "pipe", cwd=tmp_path).returncode == 0
        assert json.loads(os.read(pipe, 1 << 16))["graph"]["name"] == "prog"
    finally:
        os.close(pipe)


def test_a_component_without_a_driver_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Its driver is easily forgotten; as a name for constraints it may be meant."""
    assert own_components(["mast2", "camera=drivers:Camera"]) == {"mast2": None, "camera": "drivers:Camera"}
    assert capsys.readouterr().err == (
        "--component mast2: it has no driver, so no body can use it; with one: mast2=module:factory\n"
    )
