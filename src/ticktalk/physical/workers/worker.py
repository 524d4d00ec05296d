"""A worker: runs bodies away from who keeps time, as a process or as threads of the same process.

It is told what to do by commands and answers each; nothing in it decides when something fires. Who reads a command
also runs the body, and lends the role of reading meanwhile (`Role`): a body that takes no time costs no change of
thread, one that waits holds up no other. An instance runs one firing at a time, in the order of the commands.

Commands (tuples): `("load", graph, json, sqs)`, `("start", graph, context, tick, instances)`,
`("fire", id, start, stop, values, now, instant, following)`, `("save", id)`, `("restore", id, sq_state)`,
`("drop", id)`,
`("stop", graph)`, `("end",)`; of regions `("form", id, roots, members, feeds)`, `("run", id, start, stop, arcs, data,
instant, following)` (see `WorkerRegion`) and `("split", id)`; `("all", commands)`: one after the other.
Answers: `("loaded", graph, problem)`, `("fired", id, parts, start, stop, begun, ended)`,
`("together", id, paths, data, start, stop, begun, ended)` (data: an array of the parts at those paths),
`("failed", id, error, begun, ended)`, `("skipped", id)`, `("counted", id, kind)`, `("saved", id, sq_state, left_out)`.
`("ran", id, edges, leftovers, errors, start, stop, begun, ended, late)`.
Between processes also: `("map", number, process, descriptor, nonce, row)`, answered by `("mapped", number, whether)`,
and `("unmap", number)`: memory of other ensembles.
Times of the host's monotonic clock (`begun`, `ended`, `instant`, `following`: the next one) in microseconds.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ticktalk.accelerate.which_runs import IN_REGION
from ticktalk.accelerate.worker_region import Array, Member, WorkerRegion, encoder, failure, sendable, text
from ticktalk.engine.bodies import BodyError, GraphCode
from ticktalk.engine.codec import encode_value
from ticktalk.engine.components import Components, Preparing, running
from ticktalk.engine.execution import BodyOutput, TTSQExecute
from ticktalk.engine.lateness import lateness
from ticktalk.engine.state import Saver
from ticktalk.graph.graph import TTGraph
from ticktalk.payloads import FiringError
from ticktalk.physical.memory.allocator import keep_memory
from ticktalk.physical.memory.arena import BACK, PATIENCE, Memory, Reader, Writer, opened
from ticktalk.physical.timekeeping.role import Role
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.workers.frames import Frames, encode_frame, in_shared_memory, unsent
from ticktalk.time import Tick, TTClock

Command = tuple[Any, ...]

OF_UNIT = frozenset({"fire", "save", "restore", "run", "split"})
"""Commands that an instance, or all those of a region, carry out one after the other."""

SLOW = 500
"""Microseconds from which on a body counts as slow: what other threads do meanwhile is handed on before it runs."""

LOAN = 1_000
"""Microseconds for which a body that was not slow is waited for before another thread reads on."""


Answer = tuple[Any, ...]

SendAnswer = Callable[[Answer], None]
"""Sends an answer; called from any thread."""


Receive = Callable[[Callable[[], None]], Command | None]
"""Waits for the next command, None: there will be none; calls what it is given before it waits."""


class _Unit:
    """What runs one firing at a time: an instance by itself, or a region."""

    __slots__ = ("busy", "ident", "lock", "members", "slow", "split", "waits")

    def __init__(self, ident: int) -> None:
        self.ident = ident
        self.waits: deque[Command] = deque()
        self.busy = False
        self.slow = False  # whether its last firing was
        self.lock = threading.Lock()
        self.members: list[_Instance] = []  # of a region
        self.split = False  # a region that ends when nothing waits

    @property
    def loan(self) -> int:
        """Microseconds for which its next firing is waited for before somebody else goes on."""
        return 0 if self.slow else LOAN


class _Instance(_Unit):
    """One SQ of one context: its body, and the firings that wait for it."""

    __slots__ = ("encode", "execute", "full", "unit")

    def __init__(self, ident: int, full: bool, execute: TTSQExecute, encode: Callable[[Any], Any]) -> None:
        super().__init__(ident)
        self.full = full
        self.execute = execute
        self.encode = encode
        self.unit: _Unit = self  # whose turn it takes: its own, or a region's


class _Region(_Unit):
    """A region, and the instances that take their turns with it."""

    __slots__ = ("region", "unit")

    def __init__(self, ident: int, region: WorkerRegion, members: list[_Instance]) -> None:
        super().__init__(ident)
        self.region = region
        self.members = members
        self.unit: _Unit = self


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
        answer: SendAnswer,
        near: str = "",
        encode: Callable[[Any], Any] = encode_value,
    ) -> None:
        self._ensemble = ensemble
        self._components = components
        self._answer = answer
        self._encode = encode
        self._near = Path(near or ".")
        self._graphs: dict[str, tuple[TTGraph, GraphCode, dict[str, TTClock]]] = {}
        self._units: dict[int, _Instance | _Region] = {}
        self._of_graph: dict[str, list[int]] = {}
        self._pending: deque[Command] = deque()  # that came with others; read by who has the role of reading

    def run(self, receive: Receive) -> None:
        """Serve until there are no more commands."""
        role = Role(lambda: self._serve(role, receive), "ticktalk bodies")
        # A body that never returns must not keep this thread, whose end is that of the process.
        threading.Thread(target=role.hold, name="ticktalk bodies", daemon=True).start()
        role.ended.wait()

    def _serve(self, role: Role, receive: Receive) -> None:
        while True:
            command = self._pending.popleft() if self._pending else receive(role.rest)
            if command is None or command[0] == "end":
                role.end()
                return
            if command[0] == "all":
                self._pending.extend(command[1])
                continue
            work = self.take(command)
            if work is not None:
                loan = role.lend(work.loan)
                self.run_all(work)
                if not role.back(loan):
                    return

    def take(self, command: Command) -> _Unit | None:
        """Do what a command says at once; or give the unit whose firings are to be run (`run_all`)."""
        if command[0] in OF_UNIT:
            return self._take(command)
        self._control(command)
        return None

    def _take(self, command: Command) -> _Unit | None:
        """The unit to run, or None when another thread runs it and will take this firing too."""
        target = self._units.get(command[1])
        if target is None:
            return None
        while True:
            unit = target.unit
            with unit.lock:
                if unit is target.unit:  # else its region has just been split
                    unit.waits.append(command)
                    if unit.busy:
                        return None
                    unit.busy = True
                    return unit

    def run_all(self, unit: _Unit) -> None:
        """Run the firings that wait for a unit."""
        while True:
            with unit.lock:
                if not unit.waits:
                    unit.busy = False
                    if unit.split:
                        self._part(unit)
                    return
                command = unit.waits.popleft()
            target = self._units.get(command[1])
            if isinstance(target, _Region):
                if command[0] == "run":
                    self._run(target, command)
                else:
                    target.split = True
            elif target is None:
                continue
            elif command[0] == "fire":
                self._fire(target, command)
            elif command[0] == "save":
                saver = Saver()
                saver.sq = target.execute.name
                data = saver.body(target.execute.state.get("sq_state"))
                self._answer(("saved", target.ident, data, saver.left_out))
            else:
                target.execute.state["sq_state"] = target.execute.code.decode(command[2])

    def _part(self, region: _Unit) -> None:
        """Nothing waits for a region that was split: its instances take turns by themselves again."""
        self._units.pop(region.ident, None)
        for instance in region.members:
            if instance.unit is region:
                instance.unit = instance

    def _form(self, ident: int, roots: int, members: list[Any], feeds: list[int]) -> None:
        told = msgspec.convert(members, list[Member])
        instances = [self._units[member.ident] for member in told]
        mine = [instance for instance in instances if isinstance(instance, _Instance)]
        region = WorkerRegion(roots, told, [instance.execute for instance in mine], feeds, self._encode)
        unit = self._units[ident] = _Region(ident, region, mine)
        for instance in mine:
            with instance.lock:  # nothing waits for it: it was idle when this was decided
                instance.unit = unit

    def _run(self, unit: _Region, command: Command) -> None:
        _, ident, start, stop, arcs, data, instant, following = command
        begun = monotonic_us()
        late = _lateness(begun, start, stop, instant, following)
        if late == "skipped":
            self._answer((late, ident))
            return
        running.current = IN_REGION
        edges, leftovers, errors = unit.region.run(start, stop, arcs, data)
        running.current = None
        ended = monotonic_us()
        unit.slow = ended - begun > SLOW
        self._answer(("ran", ident, edges, leftovers, errors, start, stop, begun, ended, late is not None))

    def _fire(self, instance: _Instance, command: Command) -> None:
        _, ident, start, stop, values, now, instant, following = command
        begun = monotonic_us()
        late = _lateness(begun, start, stop, instant, following)
        if late == "skipped":
            self._answer((late, ident))
            return
        if late is not None and now < stop:  # else it was late when it was decided, and has been counted
            self._answer(("counted", ident, late))
        outcome: list[Any] = []
        execute, encode = instance.execute, instance.encode
        decode = execute.code.decode
        execute.send = lambda value, begin, end: outcome.append((encode(value), begin, end))
        execute.report = outcome.append
        try:
            if instance.full:
                arguments = tuple([(begin, end, decode(data)) for begin, end, data in values])
            else:
                arguments = tuple([decode(data) for data in values])
            execute.fire(start, stop, arguments, now)
        except BaseException as error:
            # Whatever a body raises, or its error does when it is shown: who keeps time waits for an answer.
            outcome[:] = [failure(execute, error, start, stop)]
        execute.send, execute.report = _nowhere, _nowhere_error  # what was sent is not kept: the room is wanted
        running.current = None
        ended = monotonic_us()
        instance.slow = ended - begun > SLOW
        if not outcome:
            self._answer(("fired", ident, None, start, stop, begun, ended))
        elif isinstance(outcome[0], FiringError):
            self._answer(("failed", ident, sendable(outcome[0]), begun, ended))
        else:
            parts, begin, end = outcome[0]
            if isinstance(parts, Array):
                self._answer(("together", ident, parts.paths, parts.data, begin, end, begun, ended))
            else:
                self._answer(("fired", ident, parts, begin, end, begun, ended))

    def _control(self, command: Command) -> None:
        if command[0] == "load":
            self._answer(("loaded", command[1], self._load(*command[1:])))
        elif command[0] == "start":
            self._start(*command[1:])
        elif command[0] == "form":
            self._form(*command[1:])
        elif command[0] == "drop":
            self._units.pop(command[1], None)
        elif command[0] == "stop":
            self._graphs.pop(command[1], None)
            gone = {self._units.pop(ident, None) for ident in self._of_graph.pop(command[1], ())}
            for region in [unit for unit in list(self._units.values()) if gone.intersection(unit.members)]:
                self._units.pop(region.ident, None)  # it may just have ended by itself, in another thread

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
            return text(str(error))
        except BaseException as error:  # a statement that ends programs: who keeps time waits for an answer
            return text(f"{name}: {type(error).__name__}: {error}")
        finally:
            running.current = None
        return self._make_drivers(
            {c for sq in graph.sqs if sq.name in wanted for k in sq.constraints for c in k.components}
        )

    def _make_drivers(self, wanted: set[str]) -> str | None:
        from ticktalk.errors import TTError
        from ticktalk.factories import make_driver

        for name in sorted(wanted):
            factory = self._components.get(name)
            if isinstance(factory, str):
                try:
                    self._components[name] = make_driver(self._ensemble, name, factory, self._near)
                except TTError as error:
                    return text(str(error))
                except BaseException as error:  # SystemExit, for one
                    return text(f"component {name!r} ({factory}): the factory ended with {type(error).__name__}")
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
            self._units[ident] = _Instance(ident, sq.full_token, execute, encoder(paths, shape, self._encode))
            self._of_graph.setdefault(name, []).append(ident)


def _lateness(begun: int, start: Tick, stop: Tick, instant: int | None, following: int) -> str | None:
    """How a stream's firing counts whose body starts now; None: in time, or no stream's."""
    if instant is None:
        return None
    # The instant lies in the middle of the interval, which ends as long after it on this clock as on the root clock.
    return lateness(begun, instant + stop - (start + (stop - start) // 2), following)


def _nowhere(value: Any, start: Tick, stop: Tick) -> None:
    raise AssertionError("set before every firing")


def _nowhere_error(error: FiringError) -> None:
    raise AssertionError("set before every firing")


class SocketCommands:
    """Commands and answers as frames over a socket to the process that keeps time.

    Args:
        connection: the socket.
        memories: the descriptors of memory for long values, to here and from here; empty: there is none.
    """

    def __init__(self, connection: socket.socket, memories: Sequence[int] = ()) -> None:
        self._socket = connection
        self._readers: dict[int, Reader] = {}  # by the number of their memory
        self._writer: Writer | None = None
        if memories:
            there, back = [Memory(descriptor) for descriptor in memories]
            # What is written here comes back for other bodies.
            self._readers |= {0: Reader(there), BACK: Reader(back, BACK)}
            self._writer = Writer(back, PATIENCE)
            there.close()
            back.close()
        self._frames = Frames(self._readers)
        self._lock = threading.Lock()

    def receive(self, rest: Callable[[], None]) -> Command | None:
        while True:
            ready = self._frames.next()
            if ready is not None:
                if ready[0] == "map":
                    self._map(*ready[1:])
                    continue
                if ready[0] == "unmap":
                    self._readers.pop(ready[1], None)
                    continue
                return ready
            rest()
            try:
                if not self._frames.fill(self._socket):
                    return None
            except OSError:
                return None

    def _map(self, number: int, process: int, descriptor: int, nonce: bytes, row: int) -> None:
        """Read in another memory, too."""
        memory = opened(process, descriptor, nonce)
        reads = memory is not None and memory.claim(row)
        if memory is not None and reads:
            self._readers[number] = Reader(memory, row)
        self.answer(("mapped", number, reads))

    def encode(self, value: Any) -> Any:
        """A value that will be a part of an answer."""
        return in_shared_memory(value, self._writer)

    def answer(self, answer: Answer) -> None:
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
    """A worker process: `python -m ticktalk.physical.workers.worker FD JSON`, started by the timekeeper."""
    import json
    import signal

    connection = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    # Ctrl-C at a terminal reaches the whole group: the process that keeps time ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_memory()
    commands = SocketCommands(connection, settings["memories"])
    with BodyOutput(sys.stderr, sys.stderr):
        worker = Worker(
            settings["ensemble"], settings["components"], commands.answer, settings["near"], commands.encode
        )
        worker.run(commands.receive)
        sys.stdout.flush()
    os._exit(0)  # threads that still run bodies end with it


if __name__ == "__main__":
    main()
