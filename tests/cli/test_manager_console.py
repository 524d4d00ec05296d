"""The manager's console understands what the commands do, and shows times as they do."""

from __future__ import annotations

import errno
import sys
import termios
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from terminals import Terminal
from ticktalk.cli import prompt, remote
from ticktalk.cli.ending import metric_lines
from ticktalk.cli.manager_command import _Console, tell_if_forgotten
from ticktalk.cli.prompt import _Above
from ticktalk.graph.graph import TTGraph
from ticktalk.manager.state import GraphState, ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import OutputToken

PROGRAM = """
from ticktalk import *
@GRAPHify
def inner(x): return x + 1
@GRAPHify
def outer(x): return inner(x)
"""
NOON = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()) * 1_000_000


class Runtime:
    """Stands in for a manager: takes down what it is asked."""

    address = "127.0.0.1:5555"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.process = SimpleNamespace(state=ManagerState(EnsembleInfo("runtime-manager")))
        self.on_event = self.on_error = self.on_output = lambda listener: None

    def instantiate_and_map_graph(self, graph: TTGraph, name: str | None = None) -> GraphState:
        self.asked.append(("deploy", [sq.name for sq in graph.sqs], name))
        return GraphState(graph, {sq.name: "runtime-manager" for sq in graph.sqs}, ["runtime-manager"], set())

    def replace_graph(self, graph: TTGraph, **given: Any) -> None:
        self.asked.append(("replace", [sq.name for sq in graph.sqs], given))

    def execute_graph(self, graph: str, inputs: dict[str, Any], again: bool, start_tick: int | None) -> int:
        self.asked.append(("start", graph, inputs, again, start_tick))
        return 7


@pytest.fixture
def console() -> _Console:
    return _Console(Runtime(), threading.Event())  # type: ignore[arg-type]


def test_a_manager_that_keeps_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for state, log in [("none", None), (str(tmp_path), None), (None, tmp_path / "out.jsonl")]:
        tell_if_forgotten(state, log)
    assert capsys.readouterr().err == ""
    tell_if_forgotten(None, None)
    assert capsys.readouterr().err.count("--state DIR keeps it") == 1


class Version:
    """Stands in for a graph; another one is deployed while its name is asked for."""

    def __init__(self, title: str, graphs: dict[str, Any]) -> None:
        self._title, self._graphs = title, graphs

    @property
    def title(self) -> str:
        self._graphs["other"] = self
        return self._title


def test_a_replaced_graph_has_one_name_at_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    """Its ensembles know its version by another one; the manager before this one was killed."""
    runtime = Runtime()
    graphs: dict[str, Any] = runtime.process.state.graphs
    graphs["prog~2"] = Version("prog", graphs)
    console = _Console(runtime, threading.Event())  # type: ignore[arg-type]
    assert "goes on where the one before it was: graphs prog;" in capsys.readouterr().out
    assert console.words(["start"]) == ["prog"]


def test_deploy_takes_the_name_of_a_graph(console: _Console, tmp_path: Path) -> None:
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    console._do(["deploy", str(program)])
    console._do(["deploy", str(program), "there", "--graph", "inner"])
    asked = console._runtime.asked  # type: ignore[attr-defined]
    assert asked == [("deploy", ["inner-1/ADD-1"], None), ("deploy", ["ADD-1"], "there")]
    for words in ([], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="write: deploy PROGRAM"):
            console._do(["deploy", *words])


def test_deploy_replaces_a_graph(console: _Console, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    console._do(["deploy", str(program), "--replace"])
    console._do(
        ["deploy", str(program), "there", "--replace", "--watch", "0s", "--drop-state", "a-1", "--drop-state", "b-1"]
    )
    asked = console._runtime.asked  # type: ignore[attr-defined]
    assert asked == [
        ("replace", ["inner-1/ADD-1"], {"name": None, "drop_state": [], "watch": 10_000_000}),
        ("replace", ["inner-1/ADD-1"], {"name": "there", "drop_state": ["a-1", "b-1"], "watch": 0}),
    ]
    assert "watching the new version for 10s" in capsys.readouterr().out
    for words in (["--replace"], [str(program), "--watch", "1s"], [str(program), "--drop-state", "a-1"]):
        with pytest.raises(ValueError, match="write: deploy PROGRAM"):
            console._do(["deploy", *words])


def test_start_takes_a_time(console: _Console, capsys: pytest.CaptureFixture[str]) -> None:
    console._do(["start", "prog", "x=3", "--start-at", "2026-11-29T12:00Z", "--again"])
    console._do(["start", "prog", "x=4"])
    asked = console._runtime.asked  # type: ignore[attr-defined]
    assert asked == [("start", "prog", {"x": 3}, True, NOON), ("start", "prog", {"x": 4}, False, None)]
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines[0].startswith("prog starts (context 7) at 2026-11-29") and lines[1] == "prog starts (context 7)"
    with pytest.raises(ValueError, match="--start-at wants a value"):
        console._do(["start", "prog", "--start-at"])
    with pytest.raises(typer.BadParameter, match="'noon' is no time"):
        console._do(["start", "prog", "--start-at", "noon"])


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("start", "write: start GRAPH [--again]"),
        ("set prog sample-1", "write: set GRAPH SQ [period=..] [phase=..]"),
        ("stop", "write: stop GRAPH"),
        ("status prog", "write: status"),
        ("stats", "not understood: stats; did you mean `status`?"),
        ("xyz", "not understood: xyz; 'help' lists what can be done here"),
        ("follow prgo", "there is no graph 'prgo' here yet"),
        ("help start", "deploy PROGRAM|GRAPH.json"),
    ],
)
def test_a_line_that_is_not_understood_is_answered_with_what_to_write(
    console: _Console, capsys: pytest.CaptureFixture[str], typed: str, told: str
) -> None:
    capsys.readouterr()
    console._do(typed.split())
    assert capsys.readouterr().out.startswith(told)


def test_outputs_that_are_followed_have_their_times_with_units(
    console: _Console, capsys: pytest.CaptureFixture[str]
) -> None:
    console._do(["follow", "prog"])
    console._output(OutputToken("prog", "a", 450_000, 550_000, "ADD-1", "edge"))
    assert capsys.readouterr().out.splitlines()[-1] == "prog [450ms, 550ms)  ADD-1 on edge:  'a'"


def test_deploy_starts_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = []

    class Manager:
        def __init__(self, *where: object) -> None: ...

        def __enter__(self) -> Manager:
            return self

        def __exit__(self, *error: object) -> None: ...

        def ask(self, *limit: float, **question: Any) -> dict[str, Any]:
            questions.append(question)
            return {"graph": "prog", "context": 1}

    monkeypatch.setattr(remote, "Remote", Manager)
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    remote.deploy(str(program), "127.0.0.1:5555", start=True, start_at="2026-11-29T12:00Z", input=["x=1"])
    assert [question["do"] for question in questions] == ["deploy", "start"]
    assert questions[1]["start_tick"] == NOON
    for option in ({"start_at": "12:00"}, {"input": ["x=1"]}):
        with pytest.raises(typer.BadParameter, match="give --start, too"):
            remote.deploy(str(program), "127.0.0.1:5555", **option)


def test_a_line_that_the_disk_does_not_take_is_known_to_this_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history = prompt._history()
    history.append_string("status")
    file = tmp_path / "ticktalk" / "console"
    assert file.stat().st_mode & 0o777 == 0o600 and "+status" in file.read_text()
    file.unlink()
    file.mkdir()  # as good as a disk that is full
    history.append_string("rates")
    assert history.get_strings()[-1] == "rates"


def test_the_file_of_lines_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(prompt, "MOST_LINES", 10)
    history = prompt._history()
    for number in range(20):
        history.append_string(f"start prog --input x={number}\n# of two lines")
    assert len(list(prompt._history().load_history_strings())) == 20
    history.append_string("status")
    newest_first = list(prompt._history().load_history_strings())
    assert newest_first == ["status"] + [f"start prog --input x={n}\n# of two lines" for n in range(19, 10, -1)]
    (file,) = (tmp_path / "ticktalk").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_where_the_file_of_lines_cannot_be_replaced_no_other_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*names: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(prompt, "MOST_LINES", 1)
    history = prompt._history()
    for number in range(3):
        history.append_string(f"status {number}")
    monkeypatch.setattr("os.replace", full)
    prompt._history()
    assert [each.name for each in (tmp_path / "ticktalk").iterdir()] == ["console"]


def test_texts_that_come_during_a_print_are_printed_at_once() -> None:
    """Each print draws the typed line anew."""
    begun, go = threading.Event(), threading.Event()
    printed: list[str] = []

    def write_raw(text: str) -> None:
        printed.append(text)
        begun.set()
        assert go.wait(60)

    output = SimpleNamespace(write_raw=write_raw, flush=lambda: None)
    above = _Above(cast(Any, SimpleNamespace(app=SimpleNamespace(loop=None, output=output))))
    above.write("one\n")
    assert begun.wait(60)
    for number in range(1000):
        above.write(f"{number}\n")
    above.write("the rest")
    go.set()
    above.close()
    assert printed == ["one\r\n", "".join(f"{number}\r\n" for number in range(1000)) + "the rest"]


def test_a_histogram_without_values_can_be_told() -> None:
    """No ensemble of ours sends one; another may."""
    told = {"kind": "histogram", "count": 0, "sum": 0.0, "at_most": {}}
    assert metric_lines({"graphs": [{"name": "g", "metrics": {"f-1": {"size": told}}}]}) == [
        "size of f-1: 0 values, 0 on average"
    ]


ENDS = """
import sys, threading, time
from ticktalk.cli.prompt import Prompt
from ticktalk.physical.process_end import or_end

def fail():
    raise RuntimeError("the thread that keeps time")

prompt = Prompt("> ", lambda typed: [])
if sys.argv[1] == "left-early":
    begin = prompt._session.prompt

    def late(*words, **options):
        prompt.leave()
        return begin(*words, **options)

    prompt._session.prompt = late
with prompt:
    if sys.argv[1] == "left-early":
        try:
            prompt.ask()
        except EOFError:
            print("ended")
    elif sys.argv[1] == "while-asked":
        threading.Thread(target=prompt.ask, daemon=True).start()
        while not (prompt._session.app.is_running and prompt._session.app.renderer.last_rendered_screen):
            time.sleep(0.01)
        or_end(fail, "a thread")
    else:
        prompt.ask()
        or_end(fail, "a thread")
"""


@pytest.mark.parametrize(
    ("when", "status", "told"),
    [("left-early", 0, "ended"), ("while-asked", 1, "a thread has ended"), ("while-busy", 1, "a thread has ended")],
)
def test_the_terminal_is_left_as_it_was_however_the_process_ends(
    when: str, status: int, told: str, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, sys.executable, "-c", ENDS, when)
    try:
        if when == "while-busy":
            terminal.ends_with(">")
            terminal.type("one\r")
        assert terminal.process.wait(60) == status
        terminal.shows(told)
        assert termios.tcgetattr(terminal.theirs) == terminal.modes
    finally:
        terminal.close()
