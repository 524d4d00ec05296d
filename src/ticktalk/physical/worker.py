"""A worker: runs bodies away from who keeps time, as a process or as threads of the same process.

It is told what to do by commands and answers each; nothing in it decides when something fires. Who reads a command
also runs the body, and lends the role of reading meanwhile (`Role`): a body that takes no time costs no change of
thread, one that waits holds up no other. An instance runs one firing at a time, in the order of the commands.

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
from typing import Any

import msgspec

from ticktalk.engine.bodies import BodyError, GraphCode
from ticktalk.engine.components import Components, Preparing, running
from ticktalk.engine.execution import BodyOutput, FiringError, TTSQExecute, firing_error
from ticktalk.engine.forwarding import unpacked
from ticktalk.engine.outputs import as_json
from ticktalk.engine.state import Saver
from ticktalk.engine.values import Data, decode_value, encode_value
from ticktalk.graph.graph import TTGraph
from ticktalk.physical import arena
from ticktalk.physical.clock import monotonic_us
from ticktalk.physical.frames import Frames, encode_frame, in_shared_memory, unsent
from ticktalk.physical.memory import keep_memory
from ticktalk.physical.role import Role
from ticktalk.time import Tick, TTClock, TTEmpty

Command = tuple[Any, ...]

OF_INSTANCE = frozenset({"fire", "save", "restore"})
"""Commands that an instance carries out one after the other."""

SLOW = 500
"""Microseconds from which on a body counts as slow: what other threads do meanwhile is handed on before it runs."""

LOAN = 1_000
"""Microseconds for which a body that was not slow is waited for before another thread reads on."""


Answer = Callable[[tuple[Any, ...]], None]
"""Sends an answer; called from any thread."""


class _Instance:
    """One SQ of one context: its body, and the firings that wait for it."""

    __slots__ = ("busy", "encode", "execute", "full", "ident", "lock", "slow", "waits")

    @property
    def loan(self) -> int:
        """Microseconds for which its next firing is waited for before somebody else goes on."""
        return 0 if self.slow else LOAN

    def __init__(self, ident: int, full: bool, execute: TTSQExecute, encode: Callable[[Any], Any]) -> None:
        self.ident = ident
        self.full = full
        self.execute = execute
        self.encode = encode
        self.waits: deque[Command] = deque()
        self.busy = False
        self.slow = True  # whether its last firing was; the first may import something
        self.lock = threading.Lock()


class Worker:
    """Runs bodies as its commands say.

    Args:
        ensemble: the name of the ensemble, for messages.
        components: component name to driver object, to factory text `module:name` (made at the first use), or None.
        answer: where answers go.
        near: folder beside which factories' modules are looked for.
        encode: makes of a value what is answered, as MessagePack.
    """

    def __init__(
        self,
        ensemble: str,
        components: Components,
        answer: Answer,
        near: str = "",
        encode: Callable[[Any], Any] = encode_value,
    ) -> None:
        self._ensemble = ensemble
        self._components = components
        self._answer = answer
        self._encode = encode
        self._near = Path(near or ".")
        self._graphs: dict[str, tuple[TTGraph, GraphCode, dict[str, TTClock]]] = {}
        self._instances: dict[int, _Instance] = {}
        self._of_graph: dict[str, list[int]] = {}

    def run(self, receive: Callable[[], Command | None]) -> None:
        """Serve until there are no more commands: `receive` waits for the next one, None: there will be none."""
        role = Role(lambda: self._serve(role, receive), "ticktalk bodies")
        # A body that never returns must not keep this thread, whose end is that of the process.
        threading.Thread(target=role.hold, name="ticktalk bodies", daemon=True).start()
        role.ended.wait()

    def _serve(self, role: Role, receive: Callable[[], Command | None]) -> None:
        while True:
            command = receive()
            if command is None or command[0] == "end":
                role.end()
                return
            work = self.take(command)
            if work is not None:
                loan = role.lend(work.loan)
                self.run_all(work)
                if not role.back(loan):
                    return

    def take(self, command: Command) -> _Instance | None:
        """Do what a command says at once; or give the instance whose firings are to be run (`run_all`)."""
        if command[0] in OF_INSTANCE:
            return self._take(command)
        self._control(command)
        return None

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

    def run_all(self, instance: _Instance) -> None:
        """Run the firings that wait for an instance."""
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
                self._answer(("saved", instance.ident, data, saver.left_out))
            else:
                instance.execute.state["sq_state"] = self._decode(instance.execute, command[2])

    def _fire(self, instance: _Instance, command: Command) -> None:
        _, ident, start, stop, values, now, instant, latest = command
        begun = monotonic_us()
        if latest is not None:
            if begun >= latest:
                self._answer(("skipped", ident))
                return
            if begun > instant + (stop - (start + (stop - start) // 2)):
                self._answer(("counted", ident, "late_starts"))
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
        instance.slow = ended - begun > SLOW
        if not outcome:
            self._answer(("fired", ident, None, start, stop, begun, ended))
        elif isinstance(outcome[0], FiringError):
            self._answer(("failed", ident, _sendable(outcome[0]), begun, ended))
        else:
            parts, begin, end = outcome[0]
            self._answer(("fired", ident, parts, begin, end, begun, ended))

    def _decode(self, execute: TTSQExecute, data: Data) -> Any:
        return decode_value(data, execute.code.find_class)

    def _control(self, command: Command) -> None:
        if command[0] == "load":
            self._answer(("loaded", command[1], self._load(*command[1:])))
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
            self._instances[ident] = _Instance(ident, sq.full_token, execute, _encoder(paths, shape, self._encode))
            self._of_graph.setdefault(name, []).append(ident)


def _encoder(paths: list[Any], shape: Any, encode_part: Callable[[Any], Any]) -> Callable[[Any], Any]:
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
            encoded.append([path, encode_part(part), None if exact else shown])
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
    """Commands and answers as frames over a socket to the process that keeps time.

    Args:
        connection: the socket.
        memory: the descriptor of memory that both share, for long values; None: there is none.
    """

    def __init__(self, connection: socket.socket, memory: int | None = None) -> None:
        self._socket = connection
        reader, self._writer = arena.NONE if memory is None else arena.of_worker(memory)
        self._frames = Frames(reader)
        self._lock = threading.Lock()

    def receive(self) -> Command | None:
        while True:
            ready = self._frames.next()
            if ready is not None:
                return ready
            try:
                if not self._frames.fill(self._socket):
                    return None
            except OSError:
                return None

    def encode(self, value: Any) -> Any:
        """A value that will be a part of an answer."""
        return in_shared_memory(value, self._writer)

    def answer(self, answer: tuple[Any, ...]) -> None:
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
                os._exit(0)  # who keeps time is gone, and nobody wants what is still running here


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
    keep_memory()
    commands = SocketCommands(connection, settings["memory"])
    with BodyOutput(sys.stderr, sys.stderr):
        worker = Worker(
            settings["ensemble"], settings["components"], commands.answer, settings["near"], commands.encode
        )
        worker.run(commands.receive)
        sys.stdout.flush()
    os._exit(0)  # threads that still run bodies end with it


if __name__ == "__main__":
    main()
