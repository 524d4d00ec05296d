"""An interrupt ends a process, whatever runs in it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from ticktalk.cli import entry
from ticktalk.physical.system import has_linux

STUCK = """
import time
from ticktalk.cli import signals
signals.END_LIMIT = 0.5
signals.on_interrupt(lambda: None)
print("ready", flush=True)
while True:
    try:
        time.sleep(0.01)
        {0}
    except Exception:
        pass
"""


def test_an_end_that_takes_too_long_is_cut_short() -> None:
    """One call that holds the interpreter for a minute is begun in the meantime."""
    text = STUCK.format("pow(3, 10**7, 7**10**6) if signals_asked() else None").replace(
        "signals.on_interrupt(lambda: None)",
        "asked = []\nsignals_asked = lambda: asked\nsignals.on_interrupt(lambda: asked.append(1))",
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(30) == 1
        assert time.monotonic() - began < 20


def test_a_second_interrupt_ends_at_once_what_the_first_one_does_not() -> None:
    text = STUCK.format("pass").replace("END_LIMIT = 0.5", "END_LIMIT = 90")
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None and b"press Ctrl-C again to end at once" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT


AMID_A_WAIT = """
import faulthandler, os, signal, threading, time
from ticktalk.cli import signals

for turn in range(100):
    stopped = threading.Event()
    signals.on_interrupt(stopped.set)
    threading.Thread(target=lambda: (time.sleep(0.001), os.kill(os.getpid(), signal.SIGINT))).start()
    while not stopped.wait(0):  # most of the time it holds the lock that `set` takes
        pass
    faulthandler.cancel_dump_traceback_later()
"""


def test_an_interrupt_amid_a_wait_for_the_end_ends_it() -> None:
    done = subprocess.run([sys.executable, "-c", AMID_A_WAIT], stderr=subprocess.DEVNULL, timeout=120, check=False)
    assert done.returncode == 0


def test_an_interrupt_while_a_command_is_loaded_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "ticktalk.cli.main", SimpleNamespace(main=interrupted))
    monkeypatch.setattr(sys, "argv", ["ticktalk", "status"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 128 + signal.SIGINT


INTERRUPTED = """
import os, signal
from multiprocessing import forkserver
from ticktalk.cli.own_ensembles import OwnEnsembles, Settings
from ticktalk.cli.signals import on_interrupt

on_interrupt(lambda: None)  # as `run` does: a shell may have started this with Ctrl-C ignored
own = OwnEnsembles(Settings("127.0.0.1:1", bytes(32), "", 0, 1000))
os.kill(forkserver._forkserver._forkserver_pid, signal.SIGINT)  # while it loads what ensembles need
own.start("edge", {})
print(own.processes["edge"].is_alive(), signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True)
os.kill(own.processes["edge"].pid, signal.SIGINT)
own.processes["edge"].join(60)
print(own.processes["edge"].exitcode, flush=True)
own.end()
"""


SPARE = """
import signal, time
from ticktalk.physical.workers import starting

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as in an ensemble that starts
starting.keep_spare()
(_, worker), = starting._spare
blocked, until = True, time.monotonic() + 60
while blocked and time.monotonic() < until:
    (mask,) = [line.split()[1] for line in open(f"/proc/{worker.pid}/status") if line.startswith("SigBlk")]
    blocked = bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)
print(blocked)
worker.kill()
"""


@pytest.mark.skipif(not has_linux(), reason="workers are forked on Linux only")
def test_programs_that_bodies_start_can_be_interrupted() -> None:
    """They inherit which signals wait from the worker: one that waits for ever never ends them."""
    done = subprocess.run([sys.executable, "-c", SPARE], capture_output=True, text=True, timeout=120)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.skipif(not has_linux(), reason="ensembles are forked on Linux only")
def test_ctrl_c_at_a_terminal_waits_in_processes_that_start() -> None:
    """It reaches all of them: before, `run` ended with a traceback of the process from which ensembles are forked."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["True set()", "0"], done.stderr
    assert "Traceback" not in done.stderr
