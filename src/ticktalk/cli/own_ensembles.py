"""The ensembles of `ticktalk run`: on Linux, processes forked from one that has loaded what they need.

A fork takes milliseconds. Fifty interpreters that load everything on two cores would hold up one another's heartbeats.
For the same reason each of them forks its first worker, before it has threads.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from ticktalk.cli.exit_status import run_guarded
from ticktalk.cli.priority import keep_time
from ticktalk.cli.signals import interrupts_wait, let_interrupts_come, on_interrupt
from ticktalk.ensemble import TTEnsemble
from ticktalk.physical.system import has_linux
from ticktalk.physical.workers.native_output import shown_apart
from ticktalk.physical.workers.starting import keep_spare

_SAFE_PATH = "PYTHONSAFEPATH"


class Settings(NamedTuple):
    """The settings of all ensembles of a run.

    Attributes:
        manager: the manager's address.
        token: the secret of this run, known to its processes only.
        near: folder beside which modules of component factories are looked for.
        workers, max_value, worker_memory: as `TTEnsemble.run_phy` has them.
        realtime: as the command has it.
        path: folders in which modules are found. That of the command itself, or the current one, is none of them.
    """

    manager: str
    token: bytes
    near: str
    workers: int
    max_value: int
    worker_memory: int = 0
    realtime: bool = False
    path: Sequence[str] = tuple(sys.path if sys.flags.safe_path else sys.path[1:])


class OwnEnsembles:
    """The processes of a run's ensembles: they end when this one does.

    Attributes:
        processes: by name, those that were started.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        forks = has_linux()
        self._context = multiprocessing.get_context("forkserver") if forks else multiprocessing.get_context("spawn")
        # Its end closes in every ensemble when this process ends, however that happens.
        self._theirs, self._ours = self._context.Pipe(duplex=False)
        self.processes: dict[str, BaseProcess] = {}
        self._before = os.environ.get(_SAFE_PATH)
        if forks:
            self._context.set_forkserver_preload([__name__, "ticktalk.physical.ensemble_handle"])
            self._started(forkserver.ensure_running)

    def _started(self, start: Callable[[], None]) -> None:
        """Start an interpreter: modules in the current directory must not take the place of ours."""
        os.environ[_SAFE_PATH] = "1"
        try:
            with interrupts_wait():
                start()
        finally:
            _restore(self._before)

    def start(self, name: str, components: Mapping[str, str | None]) -> None:
        """Start an ensemble: component name to factory `module:name`, or None."""
        arguments = (name, dict(components), self._settings, self._theirs, self._before)
        process = self._context.Process(target=_serve, args=arguments, name=name)
        self._started(process.start)
        self.processes[name] = process

    def end(self) -> None:
        """End all of them, in order if they can."""
        self._theirs.close()
        self._ours.close()
        for process in self.processes.values():
            process.join(5)
            if process.exitcode is None:
                process.kill()
                process.join()


def _restore(safe_path: str | None) -> None:
    if safe_path is None:
        del os.environ[_SAFE_PATH]
    else:
        os.environ[_SAFE_PATH] = safe_path


def _serve(
    name: str, components: dict[str, str | None], settings: Settings, parent: Connection, safe: str | None
) -> None:
    _restore(safe)
    os.setsid()  # Ctrl-C reaches the process that started this one, which ends it in order
    sys.path[:] = settings.path
    if settings.workers:
        keep_spare()
    os.dup2(2, 1)
    keep_time(settings.realtime, told=True)  # by the manager's process
    this = TTEnsemble(None, name, components=components)
    on_interrupt(this.stop)
    let_interrupts_come()
    threading.Thread(target=_end_with, args=(parent, this), daemon=True).start()
    serve = partial(
        this.run_phy,
        settings.manager,
        workers=settings.workers,
        max_value=settings.max_value,
        worker_memory=settings.worker_memory,
        token=settings.token,
        near=settings.near,
    )
    status = 0
    with shown_apart(name, not settings.workers):
        try:
            run_guarded(serve)
        except SystemExit as ended:
            status = int(ended.code or 0)
    # As an interpreter ends. A forked process would skip what libraries do at exit: Zenoh removes its files there.
    ctypes.pythonapi.Py_Exit(status)


def _end_with(parent: Connection, this: TTEnsemble) -> None:
    """End when the process that started this one ends."""
    try:
        parent.recv_bytes()
    except (EOFError, OSError):
        this.stop()
