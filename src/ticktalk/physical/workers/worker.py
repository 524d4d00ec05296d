"""A worker: runs bodies away from the timekeeper, in a process of its own (`process`) or in threads of the same one.

The worker carries out commands and answers them (`protocol`); the timekeeper decides what fires and when. The thread
that reads a command also runs the body, and lends the role of reading meanwhile (`Role`). So a fast body costs no
change of thread, and a slow one holds up no other for long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ticktalk.defaults import MAX_VALUE
from ticktalk.engine.bodies import BodyError, GraphCode
from ticktalk.engine.components import Components, Preparing, running
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.firing.base import takes_full_tokens
from ticktalk.errors import TTError
from ticktalk.factories import make_driver
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.body_runner import misfits
from ticktalk.physical.process_end import or_end
from ticktalk.physical.regions.in_worker import WorkerRegion
from ticktalk.physical.regions.messages import FormRegion
from ticktalk.physical.timekeeping.role import Role
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.workers.harmless import harmless_in
from ticktalk.physical.workers.protocol import (
    BodiesLoaded,
    Command,
    Drop,
    FiringLeftOut,
    GoOn,
    Harmless,
    LeaveOutStalest,
    LoadBodies,
    OfUnit,
    Start,
    Stop,
)
from ticktalk.physical.workers.results import Encode, encoder, text
from ticktalk.physical.workers.units import Instance, RegionUnit, SendAnswer, Unit
from ticktalk.time import TTClock
from ticktalk.values.codec import encode_value

Receive = Callable[[Callable[[], None]], Command | None]
"""Waits for the next command, and calls its argument before it waits; None: there will be no more."""

SLACK = 20_000
"""Microseconds after which another thread reads on at the latest, if a body that was short so far takes long. The timer
for that is set while the worker waits: to set it when a command has come would take a tenth of the time of a hop."""

_MAKING = threading.Lock()
"""Held while a driver is made: workers that are threads share their drivers."""


class Worker:
    """Runs bodies as its commands say.

    Args:
        ensemble: the name of the ensemble, for messages.
        components: component name to driver object, to factory text `module:name` (made at the first use), or None.
        answer: sends answers.
        near: folder beside which factories' modules are looked for.
        encode: makes MessagePack of a value, or a mark that stands for it in an answer.
        max_value: bytes of the longest `sq_state` that is saved.
    """

    def __init__(
        self,
        ensemble: str,
        components: Components,
        answer: SendAnswer,
        near: str = "",
        encode: Encode = encode_value,
        max_value: int = MAX_VALUE,
    ) -> None:
        self._ensemble = ensemble
        self._components = components
        self._answer = answer
        self._near = Path(near or ".")
        self._encode = encode
        self._max_value = max_value
        self._graphs: dict[str, tuple[TTGraph, GraphCode, dict[str, TTClock]]] = {}
        self._contexts: dict[str, Context] = {}  # of each graph: what its module level has set, as decimal's precision
        self._units: dict[int, Instance | RegionUnit] = {}
        self._at_once: dict[type, Callable[[Any], Unit | None]] = {
            LoadBodies: self._load,
            Start: self._start,
            FormRegion: self._form,
            GoOn: self._go_on,
            LeaveOutStalest: self._leave_out,
            Drop: self._drop,
            Stop: self._stop,
        }

    def run(self, receive: Receive) -> None:
        """Carry out commands until there are no more."""
        role = Role(lambda: or_end(lambda: self._serve(role, receive), "a thread that runs bodies"), "ticktalk bodies")
        # A body that never returns must not keep this thread, because the process ends with it.
        threading.Thread(target=role.hold, name="ticktalk bodies", daemon=True).start()
        role.ended.wait()

    def _serve(self, role: Role, receive: Receive) -> None:
        quick = False

        def rest() -> None:
            role.rest(monotonic_us() + SLACK if quick else 0, SLACK // 2)

        while (command := receive(rest)) is not None:
            unit = self.take(command)
            del command  # its values may be long, and the next command may come in an hour
            if unit is not None:
                quick = unit.quick >= 0
                loan = role.lend(unit.loan, SLACK if quick else 0)
                self.run_waiting(unit)
                if not role.back(loan):
                    return
        role.end()

    def take(self, command: Command) -> Unit | None:
        """Carry out a command; or give the unit for which `run_waiting` is to be called, in this thread or another."""
        return self._at_once.get(command.__class__, self._queue)(command)

    def _queue(self, command: OfUnit) -> Unit | None:
        """Let a command wait for its unit; None: another thread runs that unit, and will carry it out."""
        target = self._units.get(command.ident)
        if target is None:
            return None
        while True:
            unit = target.unit
            with unit.lock:
                if unit is target.unit:  # else its region has just ended
                    unit.waits.append(command)
                    if unit.busy:
                        return None
                    unit.busy = True
                    return unit

    def run_waiting(self, unit: Unit, *, most: int = 1 << 62) -> Unit | None:
        """Carry out the commands that wait for a unit, so many at most; then those of a region that waited for it.

        Returns:
            The unit for which more wait, if any: then this is to be called for it, in the same thread or another.
        """
        while True:
            with unit.lock:
                rests = bool(unit.left) or not unit.waits
                if rests:
                    unit.busy = False
                    if unit.split and not unit.left and isinstance(unit, RegionUnit):
                        self._units.pop(unit.ident, None)
                        unit.end()
                elif not most:
                    return unit
                else:
                    command = unit.waits.popleft()
            if rests:
                region = unit.unit
                if not region.begins_after(unit):
                    return None
                unit = region
                continue
            most -= 1
            target = self._units.get(command.ident)
            if target is not None:
                try:
                    target.carry_out(command)
                except BaseException:  # such as the interruption of a visitor: its next command runs all the same
                    unit.busy = False
                    region = unit.unit
                    if region.begins_after(unit):
                        region.busy = False
                    raise

    def _load(self, command: LoadBodies) -> None:
        problem = self._problem_with(command)
        harmless = self._harmless(command) if command.looks and problem is None else {}
        self._answer(BodiesLoaded(command.graph, problem, command.worker, command.number, harmless))

    def _harmless(self, command: LoadBodies) -> dict[str, Harmless]:
        """The SQs whose bodies are harmless, as they were loaded; a failure is no problem, only slower."""
        graph, code, _ = self._graphs[command.graph]
        wanted = set(command.sqs)
        try:
            return harmless_in(code, [sq for sq in graph.sqs if sq.name in wanted])
        except BaseException:  # a body's module-level values may raise anything when they are copied
            return {}

    def _problem_with(self, command: LoadBodies) -> str | None:
        """Make a graph's code and the drivers that it uses; the problem, or None."""
        name = command.graph
        if command.values:
            problem = misfits(self._graphs[name][1], command.values)
            return None if problem is None else text(problem)
        running.current = Preparing(name, self._ensemble)
        try:
            if name in self._graphs:
                graph, code, _ = self._graphs[name]
            else:
                graph = msgspec.json.decode(command.text, type=TTGraph)
                code = GraphCode(graph)
            wanted = set(command.sqs)
            sqs = [sq for sq in graph.sqs if sq.name in wanted]
            self._contexts.setdefault(name, Context()).run(code.try_out, sqs)
            self._graphs[name] = (graph, code, graph.clock_tree())
        except BodyError as error:
            return text(str(error))
        except BaseException as error:  # a statement may end programs, and the timekeeper waits for an answer
            return text(f"{name}: {type(error).__name__}: {error}")
        finally:
            running.current = None
        return self._make_drivers({c for sq in sqs for k in sq.constraints for c in k.components})

    def _make_drivers(self, wanted: set[str]) -> str | None:
        for name in sorted(wanted):
            with _MAKING:
                factory = self._components.get(name)
                if not isinstance(factory, str):
                    continue
                try:
                    self._components[name] = make_driver(self._ensemble, name, factory, self._near)
                except TTError as error:
                    return text(str(error))
                except BaseException as error:  # SystemExit, for one
                    return text(f"component {name!r} ({factory}): the factory ended with {type(error).__name__}")
        return None

    def _start(self, command: Start) -> None:
        graph, code, clocks = self._graphs[command.graph]
        by_name = {sq.name: sq for sq in graph.sqs}
        set_by_module = self._contexts.get(command.graph)
        for new in command.instances:
            sq = by_name[new.sq]
            encode = encoder(new.paths, new.unpack, self._encode)
            instance = self._instance(new.ident, sq, encode)
            instance.execute = TTSQExecute(
                sq,
                self._ensemble,
                code,
                clocks[sq.clock],
                command.tick,
                self._components,
                instance.send,
                instance.report,
                command.context,
                instance.tally,
            )
            if set_by_module is not None:  # each firing may run in another thread, which Python gives an empty one
                execute = instance.execute
                execute.body = partial(set_by_module.copy().run, execute.body)
            instance.timed = sq.timeout > 0
            self._units[new.ident] = instance

    def _form(self, command: FormRegion) -> None:
        units = [self._units[member.ident] for member in command.members]
        mine = [unit for unit in units if isinstance(unit, Instance)]
        executes = [instance.execute for instance in mine]
        region = WorkerRegion(command.roots, command.members, executes, command.feeds, self._encode)
        self._units[command.ident] = self._region(command, region, mine)

    def _instance(self, ident: int, sq: TTSQ, encode: Callable[[Any], list[Any]]) -> Instance:
        return Instance(ident, takes_full_tokens(sq), encode, self._answer, self._max_value)

    def _region(self, command: FormRegion, region: WorkerRegion, members: list[Instance]) -> RegionUnit:
        return RegionUnit(command.ident, region, members, self._answer)

    def _go_on(self, command: GoOn) -> None:
        unit = self._units.get(command.ident)
        if isinstance(unit, Instance):
            unit.go_on.set()

    def _leave_out(self, command: LeaveOutStalest) -> None:
        target = self._units.get(command.ident)
        interval = target.unit.leave_out(command.ident) if target is not None else None
        self._answer(FiringLeftOut(command.ident, interval))

    def _drop(self, command: Drop) -> None:
        unit = self._units.pop(command.ident, None)
        if isinstance(unit, Instance):
            unit.end()

    def _stop(self, command: Stop) -> None:
        _, code, _ = self._graphs.pop(command.graph, (None, None, None))
        self._contexts.pop(command.graph, None)
        for unit in list(self._units.values()):
            of_it = unit.members[0] if isinstance(unit, RegionUnit) else unit
            if of_it.execute.code is code:
                self._drop(Drop(unit.ident))  # a region may just have ended by itself, in another thread
