"""The list of commands: each can be loaded, and nothing is loaded that a call does not need."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ticktalk.cli import remote
from ticktalk.cli.main import COMMANDS, app_of


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_loaded_and_shows_its_help(name):
    shown = CliRunner().invoke(app_of([name]), [name, "--help"])
    assert shown.exit_code == 0
    assert " ".join(shown.output.split()).find(COMMANDS[name].help) > 0


@pytest.mark.parametrize("words", [[], ["keys"]])
def test_lists_of_commands_show_whole_sentences(words):
    shown = CliRunner().invoke(app_of(words), [*words, "--help"], env={"COLUMNS": "80"}).output
    listed = shown.partition("Commands:\n")[2].split("\n\n")[0].splitlines()
    assert len(listed) > 4 and [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def loaded(*words):
    """The modules that a call of `ticktalk` loads."""
    script = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['ticktalk', *{list(words)!r}]\n"
        "from ticktalk.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    return done, set(json.loads(done.stderr.strip().splitlines()[-1]))


def test_help_loads_no_command():
    done, modules = loaded("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert not modules & {"simpy", "zenoh", "msgspec", "ticktalk.cli.simulate", "ticktalk.language.compiler"}


def test_a_simulation_loads_neither_pictures_nor_tables_nor_the_network(tmp_path):
    (tmp_path / "prog.py").write_text(
        "from ticktalk import GRAPHify, SQify\n\n\n@SQify\ndef double(x):\n    return 2 * x\n\n\n"
        "@GRAPHify\ndef main(x):\n    return double(x)\n"
    )
    done, modules = loaded("simulate", str(tmp_path / "prog.py"), "--input", "x=21")
    assert "42" in done.stdout
    assert not modules & {"zenoh", "cryptography", "rich.console", "pydantic", "ticktalk.graph.drawing.svg"}


def test_a_name_that_is_no_command_is_a_usage_error_with_a_hint():
    done = CliRunner().invoke(app_of(["simulat"]), ["simulat"])
    assert done.exit_code == 2
    assert "simulate" in done.output


def test_rows_that_come_faster_than_they_are_printed_are_counted(monkeypatch):
    monkeypatch.setattr(remote, "ROWS_WAIT", 3)
    coming = remote.Coming(None)
    for frame in (b"1", b"2", b"3"):
        coming.put(frame, None)
    assert coming.lost == 0
    for frame in (b"4", b"5"):
        coming.put(frame, None)
    assert coming.lost == 2
