"""A worker: runs bodies away from who keeps time, as a process or as threads of the same process.

It is told what to do by commands and answers each; nothing in it decides when something fires. A few threads take
turns: one waits for the next command while the others run bodies, so a body that waits holds up no other, and a
body that does not costs no change of thread. An instance runs one firing at a time, in the order of the commands.

Commands (tuples): `("load", graph, json, sqs)`, `("start", graph, context, tick, instances)`,
`("fire", id, start, stop, values, now, instant, latest)`, `("save", id)`, `("restore", id, sq_state)`, `("drop", id)`,
`("stop", graph)`, `("end",)`.
Answers: `("loaded", graph, problem)`, `("fired", id, parts, start, stop, begun, ended)`,
`("failed", id, error, begun, ended)`, `("skipped", id)`, `("counted", id, kind)`, `("saved", id, sq_state, left_out)`.
Times of the host's monotonic clock (`begun`, `ended`, `instant`, `latest`) in microseconds.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ticktalk.engine.bodies import BodyError, GraphCode
from ticktalk.engine.components import Components, Preparing, running
from ticktalk.engine.execution import BodyOutput, FiringError, TTSQExecute, firing_error
from ticktalk.engine.forwarding import unpacked
from ticktalk.engine.outputs import as_json
from ticktalk.engine.state import Saver
from ticktalk.engine.values import decode_value, encode_value
from ticktalk.graph.graph import TTGraph
from ticktalk.physical.clock import monotonic_us
from ticktalk.time import Tick, TTClock, TTEmpty

Command = tuple[Any, ...]

OF_INSTANCE = frozenset({"fire", "save", "restore"})
"""Commands that an instance carries out one after the other."""


class Commands(Protocol):
    """Where a worker's commands come from and its answers go."""

    def receive(self) -> Command | None:
        """Wait for the next command; None: there will be no more."""

    def answer(self, answer: tuple[Any, ...]) -> None:
        """Send an answer; called from any thread."""


class _Instance:
    """One SQ of one context: its body, and the firings that wait for it."""

    __slots__ = ("busy", "encode", "execute", "full", "ident", "lock", "waits")

    def __init__(self, ident: int, full: bool, execute: TTSQExecute, encode: Callable[[Any], Any]) -> None:
        self.ident = ident
        self.full = full
        self.execute = execute
        self.encode = encode
        self.waits: deque[Command] = deque()
        self.busy = False
        self.lock = threading.Lock()


class Worker:
    """Runs bodies as its commands say.

    Args:
        ensemble: the name of the ensemble, for messages.
        components: component name to driver object, to factory text `module:name` (made at the first use), or None.
        commands: where commands come from and answers go.
        near: folder beside which factories' modules are looked for.
    """

    def __init__(self, ensemble: str, components: Components, commands: Commands, near: str = "") -> None:
        self._ensemble = ensemble
        self._components = components
        self._commands = commands
        self._near = Path(near or ".")
        self._graphs: dict[str, tuple[TTGraph, GraphCode, dict[str, TTClock]]] = {}
        self._instances: dict[int, _Instance] = {}
        self._of_graph: dict[str, list[int]] = {}
        self._turn = threading.Semaphore(1)  # whose turn it is to wait for the next command
        self._idle = 0  # threads that wait for their turn
        self._ended = False
        self._count_lock = threading.Lock()

    def run(self) -> None:
        """Serve until there are no more commands."""
        while not self._ended:
            with self._count_lock:
                self._idle += 1
            self._turn.acquire()
            with self._count_lock:
                self._idle -= 1
            work = None
            try:
                while work is None and not self._ended:
                    command = self._commands.receive()
                    if command is None or command[0] == "end":
                        self._ended = True
                    elif command[0] in OF_INSTANCE:
                        work = self._take(command)
                    else:
                        self._control(command)
            finally:
                if work is not None:
                    self._let_another_wait()
                self._turn.release()
            if work is not None:
                self._run_all(work)

    def _let_another_wait(self) -> None:
        with self._count_lock:
            enough = self._idle > 0
        if not enough:
            threading.Thread(target=self.run, daemon=True).start()

    def _take(self, command: Command) -> _Instance | None:
        """The instance to run, or None when another thread runs it and will take this firing too."""
        instance = self._instances.get(command[1])
        if instance is None:
            return None
        with instance.lock:
            instance.waits.append(command)
            if instance.busy:
                return None
            instance.busy = True
            return instance

    def _run_all(self, instance: _Instance) -> None:
        while True:
            with instance.lock:
                if not instance.waits:
                    instance.busy = False
                    return
                command = instance.waits.popleft()
            if command[0] == "fire":
                self._fire(instance, command)
            elif command[0] == "save":
                saver = Saver()
                saver.sq = instance.execute.name
                data = saver.body(instance.execute.state.get("sq_state"))
                self._commands.answer(("saved", instance.ident, data, saver.left_out))
            else:
                instance.execute.state["sq_state"] = self._decode(instance.execute, command[2])

    def _fire(self, instance: _Instance, command: Command) -> None:
        _, ident, start, stop, values, now, instant, latest = command
        begun = monotonic_us()
        if latest is not None:
            if begun >= latest:
                self._commands.answer(("skipped", ident))
                return
            if begun > instant + (stop - (start + (stop - start) // 2)):
                self._commands.answer(("counted", ident, "late_starts"))
        outcome: list[Any] = []
        execute, encode = instance.execute, instance.encode
        execute.send = lambda value, begin, end: outcome.append((encode(value), begin, end))
        execute.report = outcome.append
        try:
            if instance.full:
                arguments = tuple([(begin, end, self._decode(execute, data)) for begin, end, data in values])
            else:
                arguments = tuple([self._decode(execute, data) for data in values])
            execute.fire(start, stop, arguments, now)
        except BaseException as error:
            # Whatever a body raises, or its error does when it is shown: who keeps time waits for an answer.
            outcome[:] = [_failure(execute, error, start, stop)]
        running.current = None
        ended = monotonic_us()
        if not outcome:
            self._commands.answer(("fired", ident, None, start, stop, begun, ended))
        elif isinstance(outcome[0], FiringError):
            self._commands.answer(("failed", ident, _sendable(outcome[0]), begun, ended))
        else:
            parts, begin, end = outcome[0]
            self._commands.answer(("fired", ident, parts, begin, end, begun, ended))

    def _decode(self, execute: TTSQExecute, data: bytes) -> Any:
        return decode_value(data, execute.code.find_class)

    def _control(self, command: Command) -> None:
        if command[0] == "load":
            self._commands.answer(("loaded", command[1], self._load(*command[1:])))
        elif command[0] == "start":
            self._start(*command[1:])
        elif command[0] == "drop":
            self._instances.pop(command[1], None)
        elif command[0] == "stop":
            self._graphs.pop(command[1], None)
            for ident in self._of_graph.pop(command[1], ()):
                self._instances.pop(ident, None)

    def _load(self, name: str, json: bytes, sqs: list[str]) -> str | None:
        running.current = Preparing(name, self._ensemble)
        try:
            known = self._graphs.get(name)
            graph = msgspec.json.decode(json, type=TTGraph) if known is None else known[0]
            code = GraphCode(graph) if known is None else known[1]
            wanted = set(sqs)
            code.try_out([sq for sq in graph.sqs if sq.name in wanted])
            self._graphs[name] = (graph, code, graph.clock_tree())
        except BodyError as error:
            return _text(str(error))
        except BaseException as error:  # a statement that ends programs: who keeps time waits for an answer
            return _text(f"{name}: {type(error).__name__}: {error}")
        finally:
            running.current = None
        return self._make_drivers(
            {c for sq in graph.sqs if sq.name in wanted for k in sq.constraints for c in k.components}
        )

    def _make_drivers(self, wanted: set[str]) -> str | None:
        from ticktalk.drivers import make_driver
        from ticktalk.language.errors import TTError

        for name in sorted(wanted):
            factory = self._components.get(name)
            if isinstance(factory, str):
                try:
                    self._components[name] = make_driver(self._ensemble, name, factory, self._near)
                except TTError as error:
                    return _text(str(error))
                except BaseException as error:  # SystemExit, for one
                    return _text(f"component {name!r} ({factory}): the factory ended with {type(error).__name__}")
        return None

    def _start(self, name: str, context: int, tick: int, instances: list[tuple[int, str, list[Any], Any]]) -> None:
        graph, code, clocks = self._graphs[name]
        by_name = {sq.name: sq for sq in graph.sqs}
        for ident, sq_name, paths, shape in instances:
            sq = by_name[sq_name]
            execute = TTSQExecute(
                sq,
                self._ensemble,
                code,
                clocks[sq.clock],
                tick,
                self._components,
                _nowhere,
                _nowhere_error,
                context,
            )
            self._instances[ident] = _Instance(ident, sq.full_token, execute, _encoder(paths, shape))
            self._of_graph.setdefault(name, []).append(ident)


def _encoder(paths: list[Any], shape: Any) -> Callable[[Any], Any]:
    """What makes of a result the parts that are wanted, encoded: `[[path, data, shown], ...]`."""
    wanted = [(tuple(path), output) for path, output in paths]

    def encode(value: Any) -> list[Any]:
        parts = unpacked(value, shape)
        encoded = []
        for path, output in wanted:
            part = parts[path]
            if part.__class__ is TTEmpty:
                continue
            exact, shown = as_json(part) if output else (True, None)
            encoded.append([path, encode_value(part), None if exact else shown])
        return encoded

    return encode


def _failure(execute: TTSQExecute, error: BaseException, start: Tick, stop: Tick) -> FiringError:
    """What is told of an error that `TTSQExecute` does not take: KeyboardInterrupt, or one that cannot be shown."""
    try:
        return firing_error(execute.sq, execute.ensemble, execute.code, error, start, stop)
    except Exception:
        begin, end = (int(tick) if abs(tick) != float("inf") else None for tick in (start, stop))
        what = f"{type(error).__name__} (it cannot be shown: its text raises, too)"
        return FiringError(execute.name, execute.ensemble, begin, end, execute.code.file, execute.sq.line, what)


def _sendable(error: FiringError) -> FiringError:
    """`error` with text that can be encoded: a body's message may hold lone surrogates."""
    return msgspec.structs.replace(error, exception=_text(error.exception), traceback=_text(error.traceback))


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _nowhere(value: Any, start: Tick, stop: Tick) -> None:
    raise AssertionError("set before every firing")


def _nowhere_error(error: FiringError) -> None:
    raise AssertionError("set before every firing")


class SocketCommands:
    """Commands and answers as length-prefixed MessagePack over a socket to the process that keeps time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()

    def receive(self) -> Command | None:
        try:
            head = self._exactly(4)
            return None if head is None else _decode_command(self._exactly(int.from_bytes(head, "little")))
        except OSError:
            return None

    def answer(self, answer: tuple[Any, ...]) -> None:
        frame = encode_frame(answer)
        with self._lock:
            try:
                self._socket.sendall(frame)
            except OSError:
                os._exit(0)  # who keeps time is gone, and nobody wants what is still running here

    def _exactly(self, count: int) -> bytes | None:
        data = self._socket.recv(count, socket.MSG_WAITALL)
        while len(data) < count:
            if not data:
                return None
            more = self._socket.recv(count - len(data), socket.MSG_WAITALL)
            if not more:
                return None
            data += more
        return data


_encode = msgspec.msgpack.Encoder()
_infinite_safe = msgspec.msgpack.Decoder()


def encode_frame(message: tuple[Any, ...]) -> bytes:
    """A command or an answer, behind its length (4 bytes, little end first)."""
    body = _encode.encode(message)
    return len(body).to_bytes(4, "little") + body


def _decode_command(data: bytes | None) -> Command | None:
    return None if data is None else tuple(_infinite_safe.decode(data))


def main() -> None:
    """A worker process: `python -m ticktalk.physical.worker FD JSON`, started by the process that keeps time."""
    import json
    import signal

    connection = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    # Ctrl-C at a terminal reaches the whole group: the process that keeps time ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if settings["nice"]:
        os.nice(settings["nice"])
    commands = SocketCommands(connection)
    with BodyOutput(sys.stderr, sys.stderr):
        Worker(settings["ensemble"], settings["components"], commands, settings["near"]).run()
        sys.stdout.flush()
    os._exit(0)  # threads that still run bodies end with it


if __name__ == "__main__":
    main()
