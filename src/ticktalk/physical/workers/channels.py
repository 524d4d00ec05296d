"""The way to one worker: a process behind a socket, or threads of this process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from ticktalk.hosted.body_output import keep_bodies_from_stdout
from ticktalk.physical.memory import arena
from ticktalk.physical.memory.arena import Memory
from ticktalk.physical.realtime import ordinary
from ticktalk.physical.system import fcntl, has_linux, termios
from ticktalk.physical.timekeeping.loop import Job, Loop
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.workers.native_output import NativeOutput
from ticktalk.physical.workers.process import send_settings
from ticktalk.physical.workers.protocol import BRIEF, Answer, Command, Map, Mapped, SomeResults, Unmap
from ticktalk.physical.workers.starting import start
from ticktalk.physical.workers.units import Instance, RegionUnit, Unit
from ticktalk.physical.workers.worker import Worker
from ticktalk.physical.workers.worker_frames import Frames, encode_frame, unsent
from ticktalk.values.codec import Data

REAPED = 200_000
"""Microseconds for which the end of a process is waited for whose connection has ended; then it is ended."""


class Channel(Protocol):
    """The way to one worker."""

    def send(self, command: Command) -> None:
        """Send a command; never blocks."""

    def close(self) -> None:
        """End the worker."""


class Paused:
    """Stands for a worker that died again and again, until it is replaced: keeps the commands for it."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def send(self, command: Command) -> None:
        """Keep a command."""
        self.commands.append(command)

    def close(self) -> None:
        """There is nothing to end."""


class ProcessChannel:
    """A worker process behind a socket.

    Args:
        loop: the timekeeper's.
        settings: of the worker (`Workers`).
        on_answer: takes its answers, in the timekeeper.
        on_death: called in the timekeeper when the process has ended, with how; empty: it was ended from here.

    Attributes:
        rows: by memory that it reads or will read: its row there.
        process: the process.
        ended: it was ended from here (`end_at_once`).
        over: it takes more memory than it may, and is ended: the sentence that says so (`memory`).
    """

    ended = False
    over = ""

    def __init__(
        self, loop: Loop, settings: dict[str, Any], on_answer: Callable[[Answer], None], on_death: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._on_answer = on_answer
        self._on_death = on_death
        self.rows: dict[bytes, int] = {}
        self._maps: dict[bytes, int] = {}  # by memory that it reads: the number by which it knows it
        self._asked: dict[int, bytes] = {}  # by number: the memory, while the worker opens it
        self._number = arena.BACK
        there, back = arena.create(), arena.create()
        self._writer = self._back = None
        memories = []
        if there is not None and back is not None:
            self._writer, self._back = arena.ArenaWriter(there), back
            back.use(arena.BACK + 1)
            self.rows[back.nonce] = self._maps[back.nonce] = arena.BACK
            memories = [there.descriptor, back.descriptor]
        self._frames = Frames({} if self._back is None else {0: arena.Reader(self._back)}, Answer | Mapped)
        self._unsent: deque[memoryview] = deque()
        native = NativeOutput(settings["ensemble"])
        try:
            self._socket, self.process = start(native.taken)
        except OSError:
            native.close()
            raise
        self._socket.setblocking(False)
        # From its start on: its imports must not hold up the heartbeats of others.
        os.setpriority(os.PRIO_PROCESS, self.process.pid, os.getpriority(os.PRIO_PROCESS, 0) + settings["nice"])
        ordinary(self.process.pid)
        try:
            self._unsent.extend(send_settings(self._socket, settings, [native.taken, native.shown, *memories]))
        except OSError:
            pass  # it has ended, and the end of file on the other way will show it
        native.begin()
        if there is not None:
            there.close()
        self._closed = False
        loop.watch(self._socket.fileno(), self._ready)
        if self._unsent:
            loop.watch_writing(self._socket.fileno(), True)

    def send(self, command: Command | Map | Unmap) -> None:
        """Send a command; never blocks."""
        if self._closed:
            return
        if self._unsent:
            self._unsent.extend(memoryview(buffer) for buffer in encode_frame(command, self._place))
            return
        buffers = encode_frame(command, self._place)
        try:
            sent = self._socket.send(buffers[0]) if len(buffers) == 1 else self._socket.sendmsg(buffers)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # it died, and the end of file on the other way will show it
        self._unsent.extend(unsent(buffers, sent))
        if self._unsent:
            self._loop.watch_writing(self._socket.fileno(), True)

    @property
    def unread(self) -> bool:
        """True if the worker has left something unread: it is held up, because it reads at once.

        Without Linux that is seen once there is no room for more.
        """
        size = bytearray(4)
        if has_linux() and not self._closed:
            fcntl.ioctl(self._socket, termios.TIOCOUTQ, size)
        return bool(self._unsent) or any(size)

    def _place(self, data: Data) -> arena.SharedValue | None:
        """Put a long value into memory that the worker reads, or hand it on where it is."""
        found = arena.lent(data)
        number = None if found is None else self._maps.get(found.memory.nonce)
        if found is not None and number is not None:
            handed = found.to(self.rows[found.memory.nonce], number)
            if handed is not None:
                return handed
        return self._writer.put((data,)) if self._writer is not None else None

    def share(self, memory: Memory, row: int) -> None:
        """Let the worker read by a row in another memory, too."""
        self.rows[memory.nonce] = row
        self._number += 1
        self._asked[self._number] = memory.nonce
        self.send(Map(self._number, os.getpid(), memory.descriptor, memory.nonce, row))

    def share_no_more(self, nonce: bytes) -> None:
        """Let the worker forget a memory; no value there will be handed to it."""
        self.rows.pop(nonce, None)
        number = self._maps.pop(nonce, None)
        if number is not None:
            self.send(Unmap(number))

    def _ready(self, readable: bool, writable: bool) -> None:
        if writable:
            self._flush()
        if readable and not self._closed:
            try:
                count = self._frames.fill(self._socket)
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count:
                self._end()
                self._see_end(monotonic_us() + REAPED)
                return
            while (answer := self._frames.next()) is not None:
                if isinstance(answer, Mapped):
                    nonce = self._asked.pop(answer.number)
                    if answer.reads and nonce in self.rows:
                        self._maps[nonce] = answer.number
                else:
                    self._on_answer(answer)

    def _see_end(self, until: int) -> None:
        """Tell how the process has ended; its socket ends a moment before."""
        if self.process.poll() is None:
            if monotonic_us() < until:
                self._loop.after(1_000, partial(self._see_end, until))
                return
            self.process.kill()
        if not self.ended:
            self._on_death(self.over or how_ended(self.process.poll()))

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                break
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
                return
            self._unsent.popleft()
        self._loop.watch_writing(self._socket.fileno(), False)

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._frames.drop()
            self._writer = None  # the memory stays as long as a value in it
            self._maps.clear()
            if self._back is not None:
                self._back.close()
                self._back = None

    def end_at_once(self) -> None:
        """End the process, whatever runs there; what it has answered is taken first."""
        self.ended = True
        self.process.kill()
        if not self._closed:  # else it has just ended by itself (`_see_end`)
            there = select.poll()
            there.register(self._socket, select.POLLIN)
            while not self._closed and there.poll(0):
                self._ready(True, False)
            self._end()
        self._on_death("")

    def close(self) -> None:
        """End the worker."""
        self._end()
        try:
            self.process.wait(0.5)  # it ends at the end of the socket
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def how_ended(status: int | None) -> str:
    """The end of a process in words, by its status as `Popen` has it; None: it goes on."""
    if status is None:
        return "closed its connection and was ended"
    if status >= 0:
        return f"ended with status {status}"
    names = {number.value: f" ({number.name})" for number in signal.Signals}
    return f"was ended by signal {-status}{names.get(-status, '')}"


class Memories:
    """The memories of other ensembles in which the workers of this one read.

    Args:
        channels: the ways to the workers.
        in_processes: the workers are processes of their own; else they are threads, and use the ensemble's memory.
    """

    def __init__(self, channels: Mapping[str, Channel], in_processes: bool) -> None:
        self._channels = channels
        self.in_processes = in_processes
        self._memories: dict[bytes, tuple[Memory, Sequence[int]]] = {}  # with rows to read by

    def share(self, memory: Memory, rows: Sequence[int]) -> None:
        """Let workers read in another ensemble's memory: each by one of these rows, as long as there are some."""
        self._memories[memory.nonce] = (memory, rows)
        for channel in self.processes():
            self._share(channel, memory, rows)

    def introduce(self, channel: ProcessChannel) -> None:
        """Let a new worker read in all of them."""
        for memory, rows in self._memories.values():
            self._share(channel, memory, rows)

    def share_no_more(self, nonce: bytes) -> None:
        """Let them forget a memory."""
        self._memories.pop(nonce, None)
        for channel in self.processes():
            channel.share_no_more(nonce)

    def _share(self, channel: ProcessChannel, memory: Memory, rows: Sequence[int]) -> None:
        used = {other.rows.get(memory.nonce) for other in self.processes()}
        row = next((row for row in rows if row not in used and memory.clear(row)), None)
        if row is not None:
            channel.share(memory, row)

    def processes(self) -> list[ProcessChannel]:
        """The ways to worker processes; from any thread."""
        return [channel for channel in list(self._channels.values()) if isinstance(channel, ProcessChannel)]


class ThreadChannel:
    """A worker in threads of this process: the lowest latency, but a long C call in a body holds up the timekeeper.

    Args: as of `ProcessChannel`.

    Attributes:
        kind: the class of the worker.
        prints: makes what is open while there may be bodies that print.
    """

    kind: type[Worker] = Worker
    prints: Callable[[], AbstractContextManager[Any]] = staticmethod(keep_bodies_from_stdout)

    def __init__(self, loop: Loop, settings: dict[str, Any], on_answer: Callable[[Answer], None]) -> None:
        self._loop = loop
        self._on_answer = on_answer
        self._commands: deque[Command] = deque()
        self._worker = self.kind(
            settings["ensemble"],
            settings["components"],
            self._answer,
            settings["near"],
            settings["encode"],
            settings["max_value"],
        )
        self._reading = threading.Lock()  # commands are read one after the other; bodies run outside it
        self._prints = self.prints()
        self._prints.__enter__()

    def send(self, command: Command) -> None:
        """Have a command carried out aside; never blocks."""
        self._commands.append(command)
        self._loop.do_aside(self._next)

    def _next(self) -> Job | None:
        if not self._commands or not self._reading.acquire(False):
            return None  # the thread that reads will come to the commands that wait
        command = self._commands.popleft()
        if not isinstance(command, BRIEF):
            return Job(0, self._carry_out, (command,))
        unit = self._worker.take(command)
        self._reading.release()
        return None if unit is None else self._job(unit)

    def _job(self, unit: Unit) -> Job:
        return Job(unit.loan, self._worker.run_waiting, (unit,), self._run_one if unit.quick >= 0 else None, _is_over)

    def _run_one(self, unit: Unit) -> None:
        """Carry out one command of a unit; the timekeeper sees to those that have come meanwhile."""
        if (more := self._worker.run_waiting(unit, most=1)) is not None:
            self._loop.post(self._loop.do_aside, lambda: self._job(more))

    def _carry_out(self, command: Command) -> None:
        """Carry out a command that may take long: it may import modules."""
        try:
            self._worker.take(command)
        finally:
            self._reading.release()
            self._loop.post(self._read_on)

    def _read_on(self) -> None:
        for _ in self._commands:
            self._loop.do_aside(self._next)

    def _answer(self, answer: Answer) -> None:
        if answer.__class__ is SomeResults:
            self._loop.post(self._on_answer, answer)  # the firing waits until they were taken
        else:
            self._loop.hand_back(self._on_answer, answer)

    def close(self) -> None:
        """Carry out no more commands."""
        self._commands.clear()
        self._prints.__exit__(None, None, None)


def _is_over(unit: Unit) -> bool:
    """True if nobody takes the results of a unit any more."""
    bodies = unit.members if isinstance(unit, RegionUnit) else [unit]
    return all(body.gone for body in bodies if isinstance(body, Instance))
