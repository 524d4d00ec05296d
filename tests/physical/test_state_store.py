"""The folder of a manager's state: written off the timekeeper's thread, of one manager, whole or not used at all."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from systems import ONE, System, until

from ticktalk.cli.doctor import findings
from ticktalk.cli.tables import status_tables
from ticktalk.errors import TTRuntimeError
from ticktalk.manager.saving import ChangedParts
from ticktalk.manager.state import ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.physical.state_store import FILE, StateStore, _marked
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

NAME, ADDRESS = "boss", "127.0.0.1:5555"


def kept(address: str = ADDRESS) -> dict[str, bytes]:
    state = ManagerState(EnsembleInfo(NAME, address), starts=7)
    return {key: content for key, content in ChangedParts({}).of(state).items() if content is not None}


def filled(folder: Path, parts: dict[str, bytes] | None = None) -> None:
    store = StateStore(str(folder), NAME, ADDRESS)
    done: list[int] = []
    store.write(parts if parts is not None else kept(), lambda: done.append(1))
    until(lambda: done, "it is written")
    store.close()


def test_the_written_state_is_there_for_the_next_manager_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    filled(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    for address in (ADDRESS, "127.0.0.1:0"):
        store = StateStore(str(folder), NAME, address)
        assert store.kept == kept() and store.known is not None and store.known.starts == 7
        store.close()
    store = StateStore(str(folder), NAME, ADDRESS)
    store.close(done=True)
    store = StateStore(str(folder), NAME, ADDRESS)
    assert store.known is None, "after an end in order there is nothing to go on with"
    store.close()


def test_writes_are_told_in_their_order_and_deletions_count(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path), NAME, ADDRESS)
    told: list[int] = []
    for number in range(200):
        store.write({"n": str(number).encode(), f"k{number}": b"x"}, lambda number=number: told.append(number))
        store.write({f"k{number}": None}, lambda: None)
    until(lambda: len(told) == 200, "all are written")
    assert told == list(range(200))
    store.close()
    with sqlite3.connect(tmp_path / FILE) as file:
        assert file.execute("SELECT * FROM parts").fetchall() == [("n", _marked("n", b"199"))]
    file.close()


HOLDER = """
import os, sys, time
from ticktalk.physical.state_store import StateStore
store = StateStore(sys.argv[1], "boss", "127.0.0.1:5555")
store.say_holder("127.0.0.1:5555")
if not os.fork():
    time.sleep(60)  # as a worker does: it ends later than the manager that is killed
print("ready", flush=True)
time.sleep(60)
"""


def test_a_second_manager_is_refused_until_the_first_has_gone_though_its_workers_linger(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
        with pytest.raises(TTRuntimeError, match=rf"another manager has it \(process {holder.pid}, at 127.0.0.1:5555"):
            StateStore(str(tmp_path), NAME, ADDRESS)
        holder.kill()
        holder.wait()
        first = StateStore(str(tmp_path), NAME, ADDRESS)
        with pytest.raises(TTRuntimeError, match=r"another manager has it \(this process\)"):
            StateStore(f"{tmp_path}/.", NAME, ADDRESS)
        refused = subprocess.run([sys.executable, "-c", HOLDER, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        assert "another manager has it" in refused.stderr, "the lock holds on after the refusal"
        first.close()
    finally:
        os.killpg(holder.pid, 9)


@pytest.mark.parametrize(
    ("name", "address"),
    [("other", ADDRESS), (NAME, "127.0.0.1:5556"), (NAME, "127.0.0.2:5555"), (NAME, "127.0.0.2:0")],
)
def test_the_state_of_another_manager_is_refused(name: str, address: str, tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(TTRuntimeError, match=r"that of the manager 'boss' at 127.0.0.1:5555.*start it there, or"):
        StateStore(str(tmp_path), name, address)
    filled(tmp_path)  # it was given back


def test_the_state_of_another_version_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(TTRuntimeError, match=r"another version of ticktalk wrote it \(format 99; this one reads 2\)"):
        StateStore(str(tmp_path), NAME, ADDRESS)


def damage_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:4196] = os.urandom(100)
    path.write_bytes(content)


DAMAGES = {
    "no database": lambda path: path.write_bytes(b"something else" * 1000),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2]),
    "a page": damage_page,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_state_is_told_and_nothing_of_it_is_used(how: str, tmp_path: Path) -> None:
    filled(tmp_path)
    DAMAGES[how](tmp_path / FILE)
    for _ in range(2):
        with pytest.raises(TTRuntimeError, match=r"it is damaged, so nothing of it is used.*move the folder away"):
            StateStore(str(tmp_path), NAME, ADDRESS)


def test_parts_that_are_none_are_damage(tmp_path: Path) -> None:
    filled(tmp_path, {**kept(), '["errors"]': msgspec.msgpack.encode([1])})
    with pytest.raises(TTRuntimeError, match="it is damaged"):
        StateStore(str(tmp_path), NAME, ADDRESS)


def test_a_part_that_is_not_as_it_was_written_is_told(tmp_path: Path) -> None:
    """With one bit that is another, most of it can be read, as what it never was."""
    filled(tmp_path)
    whole, part = (tmp_path / FILE).read_bytes(), kept()['["manager"]']
    begin = whole.index(part)
    for at in range(begin, begin + len(part), 41):
        (tmp_path / FILE).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(TTRuntimeError, match=r'it is damaged.*\["manager"\] is not as it was written'):
            StateStore(str(tmp_path), NAME, ADDRESS)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TTRuntimeError, match=r"it cannot be used: Not a directory|it cannot be used: File exists"):
        StateStore(str(tmp_path / "file"), NAME, ADDRESS)


def test_a_disk_that_takes_nothing_holds_nothing_up_and_what_waits_is_written_later(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path), NAME, ADDRESS)
    told: list[Any] = []
    said: list[str] = []
    store.told = lambda: said.append(store.failure)
    with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
        store._file.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN EXCLUSIVE")  # as good as a disk that is full
        for number in range(3):
            store.write({f"n{number}": b"1"}, lambda: told.append(1))
            until(lambda number=number: len(told) > number, "it goes on")
        assert store.failure
        other.execute("ROLLBACK")
    other.close()
    store.write({"n3": b"1"}, lambda: told.append(2))
    until(lambda: told[-1] == 2, "it is written")
    assert not store.failure
    store.close()
    assert said == ["database is locked", ""], "it is told once that nothing is written, and once that it is again"
    with sqlite3.connect(tmp_path / FILE) as file:
        assert [key for (key,) in file.execute("SELECT key FROM parts ORDER BY key")] == ["n0", "n1", "n2", "n3"]
    file.close()


def test_a_disk_that_takes_no_state_is_told_by_an_event_by_status_and_by_doctor(tmp_path: Path) -> None:
    system = System(state=str(tmp_path / "state"))
    try:
        store = system.manager._handle.manager.store
        assert store is not None
        with sqlite3.connect(tmp_path / "state" / FILE, isolation_level=None, check_same_thread=False) as other:
            store._file.execute("PRAGMA busy_timeout = 1")
            other.execute("BEGIN EXCLUSIVE")  # as good as a disk that is full
            system.deploy(ONE, "one")
            assert "it cannot be written: database is locked; all else goes on" in system.event("--state")
            status = system.manager.status()
            assert status["state"] == {"folder": str(tmp_path / "state"), "failure": "database is locked"}
            shown = StringIO()
            Console(file=shown, width=300).print(*status_tables(status))
            assert "what cannot be written" in shown.getvalue()
            found = {each.subject: each for each in findings(system.address, None)}
            assert found["disk"].level == "wrong" and "database is locked" in found["disk"].text
            other.execute("ROLLBACK")
        other.close()
        system.manager.stop_graph("one")
        assert system.event("--state", "is written again")
        assert system.manager.status()["state"]["failure"] == ""
    finally:
        system.end()


def test_ensembles_end_with_a_manager_that_keeps_its_state(tmp_path: Path) -> None:
    """They are told to when what they are told is written: the manager waits for that before it ends."""
    system = System(state=str(tmp_path / "state")).with_ensembles("a")
    try:
        system.manager.stop(ensembles=True)
        assert system.ensembles["a"].wait() == 0
        assert "the manager ended the system" in system.ensembles["a"].said
    finally:
        system.end()
    assert not (tmp_path / "state" / FILE).exists()


def test_a_manager_that_does_not_start_gives_the_folder_back(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(TTRuntimeError, match="wants credentials"):
            TTRuntimeManagerPhysical(None, "192.0.2.7", 0, 0, state=str(tmp_path))
