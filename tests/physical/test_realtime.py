"""`--realtime`: the process that keeps time comes first, its workers do not; a missing right is said in one line."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import typer
from systems import ENDLESS, System, children, until

from ticktalk.cli import doctor
from ticktalk.cli.priority import keep_time
from ticktalk.physical import realtime, slices

GET = {"x86_64": 315, "aarch64": 275, "riscv64": 275, "armv7l": 381}.get(platform.machine(), -1)


def slice_of(thread: int) -> int:
    """Nanoseconds of a thread's slice, as `sched_getattr` of Linux tells them; 0: it does not, as before Linux 6.12."""
    found = ctypes.create_string_buffer(48)
    ctypes.CDLL(None).syscall(GET, thread, found, 48, 0)
    return int.from_bytes(found.raw[24:32], sys.byteorder)


def test_a_thread_gets_short_slices_and_what_it_starts_meanwhile_and_changes_nothing_else() -> None:
    found = {}
    nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)  # not every user may take it back

    def note(name: str) -> None:
        thread = threading.get_native_id()
        found[name] = slice_of(thread), os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread)

    def started(name: str) -> None:
        thread = threading.Thread(target=note, args=(name,))
        thread.start()
        thread.join()

    def look() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
        note("before")
        with slices.short_slices():
            note("meanwhile")
            started("started meanwhile")
        note("after")
        started("started after")

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert {each[1:] for each in found.values()} == {(os.SCHED_OTHER, nice)}
    usual = found["before"][0]
    short = slices.SHORT if usual else 0
    assert {name: each[0] for name, each in found.items()} == {
        "before": usual, "meanwhile": short, "started meanwhile": short, "after": usual, "started after": usual,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "pointer", "number"),
    [
        ("x86_64", 8, 314),
        ("aarch64", 8, 274),
        ("riscv64", 8, 274),
        ("armv6l", 4, 380),
        ("armv7l", 4, 380),
        ("armv8l", 4, 380),
        ("aarch64", 4, 380),  # Raspberry Pi OS of 32 bits, whose kernel has 64
        ("x86_64", 4, None),
        ("sparc64", 8, None),
    ],
)
def test_the_call_for_slices_has_the_number_of_the_process_not_of_its_kernel(
    machine: str, pointer: int, number: int | None
) -> None:
    """The table of Linux: with the number of another table, another call is made."""
    assert slices.system_call(machine, pointer) == number


def test_a_system_that_tells_of_no_policies_leaves_slices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The C library musl has no `sched_getscheduler`; threads that keep time begin all the same."""

    def unknown(thread: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "sched_getscheduler", unknown)
    slices.ask_for_slices(slices.SHORT)


def test_a_thread_that_has_ended_or_comes_last_is_left_alone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        os.sched_setscheduler(child.pid, os.SCHED_BATCH, os.sched_param(0))
        before = slice_of(child.pid)
        slices.ask_for_slices(slices.SHORT, child.pid)
        assert os.sched_getscheduler(child.pid) == os.SCHED_BATCH and slice_of(child.pid) == before
    finally:
        child.communicate(b"\n")
    slices.ask_for_slices(slices.SHORT, child.pid)


def test_an_ensemble_keeps_time_before_all_others_and_its_worker_is_an_ordinary_process() -> None:
    system = System(workers=0)
    try:
        near = system.begin("near", "--realtime", "--cpus", "0")
        far = system.begin("far")
        assert system.manager.wait_for_ensembles(["near", "far"], 30) == []
        system.manager.execute_graph(system.deploy(ENDLESS, "endless"))
        until(lambda: len(system.values("endless")) >= 5, "tokens come")
        (worker,) = children(near.popen.pid)
        threads = [int(thread) for thread in os.listdir(f"/proc/{near.popen.pid}/task")]
        rights = realtime.lacking()
        assert ("--realtime: all goes on without" in near.said) is bool(rights), near.said
        if not any("SCHED_RR" in right for right in rights):
            assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_RR}
        if not any("locked" in right for right in rights):
            status = Path(f"/proc/{near.popen.pid}/status").read_text()
            locked = next(line for line in status.splitlines() if line.startswith("VmLck"))
            assert int(locked.split()[1]) > 10_000
        assert {cpu for thread in threads for cpu in os.sched_getaffinity(thread)} == {0}
        every = [int(thread) for thread in os.listdir(f"/proc/{worker}/task")]
        assert {os.sched_getscheduler(thread) for thread in every} == {os.SCHED_OTHER}
        assert os.sched_getaffinity(worker) == (os.sched_getaffinity(0) - {0} or {0})
        assert os.sched_getscheduler(far.popen.pid) == os.SCHED_OTHER
        usual = slice_of(far.popen.pid)
        (fars,) = children(far.popen.pid)
        assert slice_of(fars) == usual
        tasks = Path(f"/proc/{far.popen.pid}/task")
        short = [task for task in tasks.iterdir() if slice_of(int(task.name)) == slices.SHORT]
        names = {(task / "comm").read_text()[:3] for task in short}
        if usual:
            assert "rx-" in names and names - {"rx-", "tx-"}, "the network's threads and the timekeeper have them"
    finally:
        system.end()


@pytest.mark.parametrize("policy", ["SCHED_BATCH", "SCHED_IDLE"])
def test_a_worker_of_a_run_in_the_background_stays_there(policy: str) -> None:
    """Not every user may change it: after `chrt -i 0`, only a process with CAP_SYS_NICE may."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        os.sched_setscheduler(child.pid, getattr(os, policy), os.sched_param(0))
        realtime.ordinary(child.pid)
        assert os.sched_getscheduler(child.pid) == getattr(os, policy)
    finally:
        child.communicate(b"\n")


def test_missing_rights_are_said_with_what_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refused(*arguments: object) -> None:
        asked.append(1)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(realtime, "_may", lambda capability: False)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (0, 0))
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    first, second = realtime.lacking()
    assert "SCHED_RR" in first and "ulimit -r 10" in first and "locked memory" in second and "ulimit -l" in second
    priority, locked, cpus = realtime.keep_time([63])
    assert (priority, locked) == (first, second) and cpus.startswith("CPUs 63: Operation not permitted (there are 0")
    assert len(asked) == 2
    found = next(finding for finding in doctor.findings(None, None) if finding.subject == "realtime")
    assert found.level == "mind" and "SCHED_RR" in found.text and "give it to the user" in found.advice


def test_cpus_that_are_not_there_are_said_beside_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    keeps = [{0, 1}]
    monkeypatch.setattr(realtime, "_every", set())
    monkeypatch.setattr(realtime, "lacking", list)
    monkeypatch.setattr(realtime, "_may_lock", lambda: False)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *arguments: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: keeps[-1])
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: keeps.append({0, 1} & {*cpus}))
    assert realtime.keep_time([0]) == []
    assert realtime.keep_time([0, 99]) == ["CPUs 99 (there are 0)"]


def test_missing_rights_are_said_once_and_that_bodies_have_realtime_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` has a process for each ensemble: the first one says it."""
    monkeypatch.setattr(realtime, "keep_time", lambda cpus: ["a (x gives it)", "b"])
    keep_time(True, workers=0)
    for _ in range(3):
        keep_time(True, workers=0, told=True)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("--realtime: all goes on without a (x gives it); and without b")
    assert "with --workers 0 bodies, too, come before all ordinary processes" in second


@pytest.mark.parametrize(
    ("asked", "cpus", "said"), [(False, "0", "give both"), (True, "first", "no list of CPUs"), (True, "1,", "no list")]
)
def test_a_wrong_list_of_cpus_is_said(asked: bool, cpus: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        keep_time(asked, cpus)
