"""The folder in which a manager keeps what it knows: an SQLite file, and a lock that says which manager has it.

A thread of its own writes. Parts that wait at one time are written together, and are on the disk before that is said.
Only the manager's user may read the folder: values of programs are in it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec

from ticktalk.errors import TTRuntimeError
from ticktalk.manager.saving import FORMAT, joined
from ticktalk.manager.state import ManagerState
from ticktalk.printable import line

logger = logging.getLogger("ticktalk")

FILE = "manager.sqlite"
LOCK = "manager.lock"

MARK = 16
"""Bytes of the digest of a part."""

Write = tuple[Mapping[str, bytes | None], Callable[[], None]]


class StateStore:
    """The folder of one manager.

    Args:
        folder: is made if it is not there.
        name: of the manager.
        address: where it is to listen; a port of 0 stands for that of the manager before it.

    Attributes:
        known: what the manager before it knew; None: there was none.
        post: has the timekeeper make a call.
        told: called by the timekeeper when `failure` has changed.
        kept: the parts as they were when the folder was opened.
        failure: why nothing can be written at present; empty: it can.

    Raises:
        TTRuntimeError: another manager has it, or it cannot be read; the message says what to do.
    """

    def __init__(self, folder: str, name: str, address: str) -> None:
        self.folder = Path(folder)
        self.failure = ""
        self.post: Callable[[Callable[[], None]], None] = lambda act: act()
        self.told: Callable[[], None] = lambda: None
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._unwritten: dict[str, bytes | None] = {}  # since writing failed
        self._place = self.folder.resolve()
        self._lock = self._take_lock()
        try:
            self._file = sqlite3.connect(self.folder / FILE, check_same_thread=False, isolation_level=None)
            os.chmod(self.folder / FILE, 0o600)
            self.kept = self._open()
            self.known = self._known(name, address)
        except sqlite3.Error as error:
            self._give_back()
            raise TTRuntimeError(self._damaged(str(error))) from None
        except TTRuntimeError:
            self._give_back()
            raise
        self._thread = threading.Thread(target=self._run, name="ticktalk state", daemon=True)
        self._thread.start()

    def _take_lock(self) -> int:
        """Lock the folder for this process: workers that it forks do not hold the lock on when it is killed."""
        holder = "this process"
        lock = -1
        try:
            if self._place in _held:
                raise BlockingIOError  # to close its lock file again here would give its lock up
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            holder = line(os.pread(lock, 200, 0).decode("utf-8", "replace")) or "it is just starting"
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            if lock < 0 and not isinstance(error, BlockingIOError):
                raise TTRuntimeError(f"--state {self.folder}: {_unusable(error)}") from None
            if lock >= 0:
                os.close(lock)
            raise TTRuntimeError(
                f"--state {self.folder}: another manager has it ({holder}): end that one first, or give this one"
                " another folder"
            ) from None
        except OSError as error:
            raise TTRuntimeError(f"--state {self.folder}: {_unusable(error)}") from None
        _held.add(self._place)
        return lock

    def say_holder(self, address: str) -> None:
        """Note in the lock which manager has the folder."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"process {os.getpid()}, at {address}".encode(), 0)

    def _open(self) -> dict[str, bytes]:
        run = self._file.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        (version,) = run("PRAGMA user_version").fetchone()
        tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not version and not tables:
            run("BEGIN")
            run("CREATE TABLE parts (key TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID")
            run(f"PRAGMA user_version = {FORMAT}")
            run("COMMIT")
        elif version != FORMAT:
            raise TTRuntimeError(
                f"--state {self.folder}: another version of ticktalk wrote it (format {version}; this one reads"
                f" {FORMAT}): go on with that version, or begin anew with another folder"
            )
        (problem,) = run("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise TTRuntimeError(self._damaged(problem))
        kept = {}
        for key, content in run("SELECT key, content FROM parts"):
            kept[key] = content[MARK:] if isinstance(content, bytes) else b""
            if content != _marked(key, kept[key]):
                raise TTRuntimeError(self._damaged(f"its part {key} is not as it was written"))
        return kept

    def _damaged(self, why: str) -> str:
        return (
            f"--state {self.folder}: it is damaged, so nothing of it is used ({line(why)}): restore it from a copy, or"
            " move the folder away to begin anew"
        )

    def _known(self, name: str, address: str) -> ManagerState | None:
        try:
            found = joined(self.kept)
        except TTRuntimeError as error:
            raise TTRuntimeError(self._damaged(str(error))) from None
        if found is None:
            return None
        before = found.manager
        (ip, _, port), (ip_before, _, port_before) = address.rpartition(":"), before.address.rpartition(":")
        if (before.name, ip_before.strip("[]")) != (name, ip) or port not in ("0", port_before):
            raise TTRuntimeError(
                f"--state {self.folder}: it is that of the manager {before.name!r} at {before.address}, which its"
                f" ensembles look for, and this one would be {name!r} at {address}: start it there, or begin anew with"
                " another folder"
            )
        return found

    def write(self, changes: Mapping[str, bytes | None], then: Callable[[], None]) -> None:
        """Write parts (None: take one away), all or none, in the store's thread; then have `then` called."""
        self._queue.put((changes, then))

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            waits = [entry]
            while not self._queue.empty() and (entry := self._queue.get()) is not None:
                waits.append(entry)
            for changes, _ in waits:
                self._unwritten.update(changes)
            self._write()
            for _, then in waits:
                self.post(then)
            if entry is None:
                return

    def _write(self) -> None:
        """Write what is not written yet; if that fails it is told once, tried again, and holds nothing up.

        To hold messages until there is room again would stop the whole system for the sake of a death that may not
        come: nothing would be placed elsewhere, started or stopped. So all goes on, and it is told aloud.
        """
        if not self._unwritten:
            return
        run = self._file.execute
        try:
            run("BEGIN IMMEDIATE")
            try:
                gone = [(key,) for key, content in self._unwritten.items() if content is None]
                new = [(key, _marked(key, part)) for key, part in self._unwritten.items() if part is not None]
                self._file.executemany("DELETE FROM parts WHERE key = ?", gone)
                self._file.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?)", new)
                run("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    run("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self._say(line(error))
        else:
            self._unwritten = {}
            self._say("")

    def _say(self, failure: str) -> None:
        before, self.failure = self.failure, failure
        if bool(before) != bool(failure):
            self.post(self.told)

    def close(self, done: bool = False) -> None:
        """Write what waits, and give the folder back. `done`: the system has ended in order, so nothing is kept."""
        self._queue.put(None)
        self._thread.join(10)
        if self._thread.is_alive():
            return  # the disk stands still: the folder stays locked until this process ends
        if done:
            for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
                (self.folder / name).unlink(missing_ok=True)
        self._give_back()

    def _give_back(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
        _held.discard(self._place)
        os.close(self._lock)


def _marked(key: str, part: bytes) -> bytes:
    """A part as it is written, behind a digest of key and part: SQLite has no checksums of what it holds."""
    return blake2b(msgspec.msgpack.encode((key, part)), digest_size=MARK).digest() + part


def _unusable(error: OSError) -> str:
    return f"it cannot be used: {error.strerror}: give another folder, or `none`"


_held: set[Path] = set()
"""The folders that managers of this process have."""
