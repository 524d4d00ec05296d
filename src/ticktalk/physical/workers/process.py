"""A worker process: commands and answers as frames over a socket to the process that keeps time.

`starting` starts it: `python -m ticktalk.physical.workers.process FD`, or a fork that calls `serve`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from ticktalk.defaults import MAX_VALUE
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.physical.memory.allocator import keep_memory
from ticktalk.physical.memory.arena import BACK, ArenaWriter, Memory, Reader, opened
from ticktalk.physical.workers.native_output import printing_to
from ticktalk.physical.workers.protocol import Answer, Command, Map, Mapped, Unmap
from ticktalk.physical.workers.worker import Worker
from ticktalk.physical.workers.worker_frames import Frames, encode_frame, in_shared_memory, unsent
from ticktalk.printable import LogFormatter
from ticktalk.values.codec import Data


class SocketCommands:
    """The worker's end of the socket.

    Args:
        connection: the socket.
        memories: the descriptors of memory for long values, to here and from here; empty: there is none.
        max_value: bytes of the longest value that may be sent.
    """

    def __init__(self, connection: socket.socket, memories: Sequence[int] = (), max_value: int = MAX_VALUE) -> None:
        self._socket = connection
        self._max_value = max_value
        self._readers: dict[int, Reader] = {}  # by the number of their memory
        self._writer: ArenaWriter | None = None
        if memories:
            there, back = [Memory(descriptor) for descriptor in memories]
            # A value that is written here comes back for other bodies.
            self._readers |= {0: Reader(there), BACK: Reader(back, BACK)}
            self._writer = ArenaWriter(back, waits=True)
            there.close()
            back.close()
        self._frames = Frames(self._readers, Command | Map | Unmap)
        self._lock = threading.Lock()

    def receive(self, rest: Callable[[], None]) -> Command | None:
        """The next command (`worker.Receive`)."""
        while True:
            command: Command | Map | Unmap | None = self._frames.next()
            if command is None:
                rest()
                try:
                    if not self._frames.fill(self._socket):
                        return None
                except OSError:
                    return None
            elif isinstance(command, Map):
                self._map(command)
            elif isinstance(command, Unmap):
                self._readers.pop(command.number, None)
            else:
                return command

    def _map(self, command: Map) -> None:
        memory = opened(command.process, command.descriptor, command.nonce)
        reads = memory is not None and memory.claim(command.row)
        if memory is not None and reads:
            self._readers[command.number] = Reader(memory, command.row)
        self.answer(Mapped(command.number, reads))

    def encode(self, value: Any) -> Any:
        """Encode a value for an answer."""
        return in_shared_memory(value, self._writer, self._max_value)

    def answer(self, answer: Answer | Mapped) -> None:
        """Send an answer; from any thread."""
        buffers = encode_frame(answer)
        with self._lock:
            try:
                if len(buffers) == 1:
                    self._socket.sendall(buffers[0])
                else:
                    sent = self._socket.sendmsg(buffers)
                    for rest in unsent(buffers, sent):
                        self._socket.sendall(rest)
            except OSError:
                os._exit(0)  # the timekeeper is gone, and so is any use for the bodies that still run


def _show_log(stderr: TextIO) -> None:
    """Show on stderr what is logged for the program, unless it has set logging up by itself."""
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(LogFormatter("%(name)s: %(message)s"))
    handler.addFilter(lambda record: not logging.getLogger().handlers)
    logger = logging.getLogger("ticktalk.SYSLOG")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)


def send_settings(
    connection: socket.socket, settings: Mapping[str, Any], descriptors: Sequence[int]
) -> list[memoryview]:
    """Send a worker what it begins with (`serve`); never blocks.

    Args:
        connection: to the worker; nothing was sent on it yet.
        settings: `ensemble`, `components`, `near`, `max_value`, as `Worker` has them.
        descriptors: for the output of native code, for the prints of Python, and of the memories (`SocketCommands`).

    Returns:
        What could not be sent yet.

    Raises:
        OSError: the worker has ended.
    """
    text = json.dumps(settings).encode()
    buffers: list[Data] = [len(text).to_bytes(4, "little") + text]
    return unsent(buffers, socket.send_fds(connection, buffers, descriptors))


def leave_the_end_to_the_timekeeper() -> None:
    """Take no notice of SIGINT and SIGTERM: they may reach a whole group, and the states here are still wanted.

    SIGTERM ends what bodies start as ever: another program does not have this handler, and a fork has it set back. A
    signal that comes to a fork before that waits.
    """

    def as_ever() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM}),
        after_in_child=as_ever,
    )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})  # also for programs that bodies start


def serve(connection: socket.socket) -> None:
    """Run a worker until its commands end, and end this process.

    It begins with its settings. If they never come, it was a spare worker that nobody needed.
    """
    leave_the_end_to_the_timekeeper()
    length, descriptors, *_ = socket.recv_fds(connection, 4, 4)
    if not length:
        os._exit(0)
    text = connection.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL)
    settings = json.loads(text)
    native, prints, *memories = descriptors
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nowhere, 0), (native, 1), (native, 2)):
        os.dup2(descriptor, place)
    os.close(nowhere)
    os.close(native)
    keep_memory()
    sys.stderr = printing_to(prints)
    _show_log(sys.stderr)
    commands = SocketCommands(connection, memories, settings["max_value"])
    with BodyOutput(sys.stderr, sys.stderr):
        worker = Worker(
            settings["ensemble"],
            settings["components"],
            commands.answer,
            settings["near"],
            commands.encode,
            settings["max_value"],
        )
        worker.run(commands.receive)
        sys.stdout.flush()
    os._exit(0)  # threads that still run bodies end with it


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
