"""The manager's console at a terminal: the typed line stays whole whatever is printed; history, completion, the end."""

from __future__ import annotations

import fcntl
import re
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from systems import HEAD, LIMIT, until

from terminals import Terminal

COUNT = 15

PROGRAM = (
    HEAD
    + f"""
import os
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = n = sq_state.get("n", 0) + 1
    print("printed", n)
    os.write(2, b"native %d\\n" % n)
    return n
@GRAPHify
def main(trigger):
    with TTClock.root() as root:
        start = READ_TTCLOCK(trigger, TTClock=root)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + {COUNT * 50_000}))
        return src(window, TTPeriod=50_000, TTMissed="catch-up")
"""
)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "prog.py").write_text(PROGRAM)
    made = Terminal(tmp_path, sys.executable, "-m", "ticktalk.cli.entry", "manager", "--rx-port", "0")
    yield made
    made.close()


def test_prints_leave_the_typed_line_whole(terminal: Terminal) -> None:
    """Outputs, prints of bodies and of native code in a worker come while a user types."""
    terminal.ends_with("ticktalk>")
    terminal.type("deploy pro\t")  # a file is completed
    terminal.ends_with("ticktalk> deploy prog.py")
    terminal.type("\r")
    terminal.shows("prog is ready")
    terminal.ends_with("ticktalk>")  # else the terminal shows by itself what is typed
    terminal.type("follow\rstart prog\rstat")
    until(lambda: sum("src-1 on runtime-manager" in line for line in terminal.lines) >= COUNT, "all outputs")
    until(lambda: sum("native" in line for line in terminal.lines) >= COUNT, "all of native code")
    terminal.ends_with("ticktalk> stat")
    text = terminal.lines
    numbers = [str(n) for n in range(1, COUNT + 1)]
    outputs = [re.fullmatch(r"prog \[.*\)  src-1 on runtime-manager:  (\d+)", line) for line in text]
    assert [found[1] for found in outputs if found] == numbers, text
    printed = [re.fullmatch(r"\[src-1\] printed (\d+)", line) for line in text]
    assert [found[1] for found in printed if found] == numbers, text
    native = [re.fullmatch(r"\[runtime-manager: native code\] native (\d+)", line) for line in text]
    assert [found[1] for found in native if found] == numbers, text
    terminal.type("us\r")
    terminal.shows("runtime-manager")
    until(lambda: "ticktalk> status" in terminal.lines and terminal.last == "ticktalk>", "the next line is asked for")
    terminal.type("\x1b[A")  # up
    terminal.ends_with("ticktalk> status")
    terminal.type("\x15set pr\t")
    terminal.ends_with("ticktalk> set prog")
    terminal.type(" sr\t")
    terminal.ends_with("ticktalk> set prog src-1")
    terminal.type("\x03")
    assert terminal.process.wait(LIMIT) == 0
    terminal.shows("stopping; press Ctrl-C again to end at once")
    assert termios.tcgetattr(terminal.theirs) == terminal.modes


def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.ends_with("ticktalk>")
    terminal.type("half a li")
    terminal.ends_with("ticktalk> half a li")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(LIMIT) == 0
    assert termios.tcgetattr(terminal.theirs) == terminal.modes


ASKING = """
from pathlib import Path
import time
from ticktalk.cli.prompt import Prompt
with Prompt("> ", lambda typed: []) as prompt:
    print("asked", prompt.ask())
    while not Path("typed").exists():
        time.sleep(0.01)
    print("asked", prompt.ask())
"""


def test_a_line_typed_while_a_command_runs_shows_in_its_place_only(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, sys.executable, "-c", ASKING)
    try:
        terminal.ends_with(">")
        terminal.type("one\r")
        terminal.ends_with("asked one")
        terminal.type("two\r")
        until(lambda: fcntl.ioctl(terminal.theirs, termios.FIONREAD, b"1234") != bytes(4), "the terminal has it")
        assert terminal.last == "asked one"
        (tmp_path / "typed").touch()
        terminal.ends_with("asked two")
        assert [line for line in terminal.lines if "two" in line] == ["> two", "asked two"]
        assert terminal.process.wait(LIMIT) == 0
        assert termios.tcgetattr(terminal.theirs) == terminal.modes
    finally:
        terminal.close()
