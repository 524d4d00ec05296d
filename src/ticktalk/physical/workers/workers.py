"""The workers of an ensemble, as the timekeeper sees them.

Workers are started when a graph needs them (`assignment`). A dead worker is replaced and counted. Its firings under way
are lost, and its instances go on from their last saved state. One that dies again and again is
replaced after longer and longer, and then given up (`restarts`): the firings of its SQs are errors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from ticktalk.defaults import MAX_VALUE
from ticktalk.engine import state
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.components import Components
from ticktalk.engine.context import Context
from ticktalk.engine.firing.base import Fire, takes_full_tokens
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import Elsewhere
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.assignment import HOME, PERSISTENT, URGENT
from ticktalk.hosted.body_runner import Measured
from ticktalk.hosted.watchdog import OpenFiring
from ticktalk.payloads import FiringError, Firings, StopGraph
from ticktalk.physical.regions.accelerator import DeviceAccelerator
from ticktalk.physical.regions.messages import RegionRan, RegionSkipped
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import RootClock, monotonic_us
from ticktalk.physical.workers import protocol
from ticktalk.physical.workers.channels import Channel, Memories, Paused, ProcessChannel, ThreadChannel
from ticktalk.physical.workers.home import HomeChannel, LeftHome
from ticktalk.physical.workers.loading import Loading
from ticktalk.physical.workers.measured import KeptDeadlines, measured
from ticktalk.physical.workers.protocol import Answer, BodiesLoaded, Command
from ticktalk.physical.workers.restarts import Restarts
from ticktalk.physical.workers.timeouts import Timeouts, cannot_end
from ticktalk.physical.workers.worker_body import TakeState, WorkerBody
from ticktalk.physical.workers.worker_frames import by_itself, parts_by_themselves
from ticktalk.time import Tick
from ticktalk.values.codec import Data, Encoded, encode_value, encoded

logger = logging.getLogger("ticktalk")

ORDINARY_NICE = 5
"""The niceness of ordinary workers: beside busy ones plan B's worker still starts in time."""

LOADS = 3_000_000
"""Microseconds in which a worker that reads nothing is held up."""

LOOK_AGAIN = 1_000
"""Microseconds between two looks whether bodies are idle."""


class Workers:
    """The workers of one ensemble; called in the timekeeper's thread only.

    Args:
        ensemble: the ensemble's name.
        components: component name to factory text, driver object, or None.
        loop: watches the sockets to worker processes.
        clock: the root clock.
        processes: whether bodies run in processes (else in threads of this one).
        near: folder beside which factories' modules are looked for.
        died: told of a worker that has ended: its name, how (empty: it was ended from here), the firings there.
        last_body: gives the last saved `sq_state` of an instance.
        encode: makes MessagePack of the values that bodies in threads return.

    Attributes:
        in_processes: whether bodies run in processes of their own; else in threads of this one.
        mark: makes the mark that stands for a value in a command.
        memories: those of other ensembles in which worker processes read.
        loading: has bodies loaded; `loading.home` says whether harmless ones run at home.
    """

    def __init__(
        self,
        ensemble: str,
        components: Components,
        loop: Loop,
        clock: RootClock,
        processes: bool = True,
        near: str = "",
        died: Callable[[str, str, Firings], None] = lambda worker, how, firings: None,
        last_body: Callable[[Context, str], bytes | None] = lambda context, sq: None,
        encode: Callable[[Any], Data] = encode_value,
        max_value: int = MAX_VALUE,
    ) -> None:
        self.decode: state.Load = Encoded  # saved values stay encoded here: the workers open them
        self._ensemble = ensemble
        self._components = components
        self._loop = loop
        self._clock = clock
        self.at: Callable[[int], int] = clock.at
        self._kept = KeptDeadlines()
        # A driver object cannot be given to another process: its SQs run here.
        self.in_processes = processes and not any(
            driver is not None and not isinstance(driver, str) for driver in components.values()
        )
        self.loading = Loading(components, self.in_processes, self.send, self.number)
        self._graphs = self.loading.graphs
        self._near = near
        self._tell_death = died
        self._last_body = last_body
        self._encode = encode
        self._max_value = max_value
        self.mark: Callable[[Data], Any] = by_itself if self.in_processes else _as_it_is
        self._channels: dict[str, Channel] = {}
        self._restarts: dict[str, Restarts] = {}
        self.memories = Memories(self._channels, self.in_processes)
        self._bodies: dict[int, WorkerBody] = {}
        self._of: dict[ContextParts, dict[str, WorkerBody]] = {}  # the same by context and SQ
        self._timeouts = Timeouts(loop, self._bodies, self._channels)
        self._last_number = 0
        self._closing = False
        self.accelerator = DeviceAccelerator(self)

    def load(self, graph: TTGraph, sqs: list[TTSQ], loaded: Callable[[str | None], None]) -> None:
        """Have the bodies of `sqs`, or more of them, compiled in their workers; `loaded` takes the problem, or None."""
        for sq in sqs:
            if sq.timeout and not self.in_processes:
                loaded(cannot_end(sq))
                return
        for worker in self.loading.load(graph, sqs, loaded):
            see = partial(self._see_load, graph.name, worker, self._oldest(worker))
            self._timeouts.watch_reading(worker, LOADS, see)

    def try_values(self, graph: str, values: Mapping[str, list[bytes]], tried: Callable[[str | None], None]) -> None:
        """See whether values fit the classes of a graph that was loaded; `tried` takes the problem, or None."""
        self.loading.try_values(graph, values, tried)

    def _oldest(self, worker: str) -> dict[tuple[ContextParts, str], OpenFiring]:
        """By context and SQ in a worker, its oldest firing."""
        each = [(context, sq, way) for context in self._of for sq, way in self.under_way(context).items()]
        return {(c, sq): way for c, sq, way in each if sq in self._of[c] and self._of[c][sq].worker == worker}

    def _see_load(self, graph: str, worker: str, before: Mapping[Any, OpenFiring], held_up: bool) -> bool:
        """Answer a load in place of a worker that a firing has held up since before; whether it is still awaited."""
        known, channel = self._graphs.get(graph), self._channels.get(worker)
        if known is None or worker not in known.loading:
            return False
        by = [p for p, way in self._oldest(worker).items() if p in before and way.mark is before[p].mark]
        if not held_up or not by or not isinstance(channel, ProcessChannel):
            return True
        context, sq = by[0]
        why = (
            f"the worker process of this ensemble (pid {channel.process.pid}) does not answer: it is held up by the"
            f" firing of {sq} of graph {context.prepared.graph.name!r}; end that process to have it replaced"
        )
        self.loading.answer(BodiesLoaded(graph, why, worker))
        return False

    def place(self, context: Context, elsewhere: Elsewhere) -> Fire:
        """The firing of one body in its worker (`RunElsewhere`); `begin` follows before it is called."""
        ident = self.number()
        sq = elsewhere.sq
        sync = context.syncs[sq.name]
        grid = sync if isinstance(sync, GridSync) else None
        worker = self._graphs[context.prepared.graph.name].worker_of(sq.name)
        body = WorkerBody(ident, worker, context, elsewhere, grid, lambda command: self.send(body.worker, command))
        self._bodies[ident] = body
        self._of.setdefault(context, {})[sq.name] = body
        full = takes_full_tokens(sq)
        mark = self.mark

        def fire(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
            instant = following = None
            if body.given_up:
                body.fails(body.given_up, self._ensemble)
                elsewhere.done()
                return
            if grid is not None:
                instant, following = self.due(grid, start)
            try:
                sent = (
                    [(begin, end, mark(encoded(value))) for begin, end, value in values]
                    if full
                    else [mark(v.data) if v.__class__ is Encoded else parts_by_themselves(v, mark) for v in values]
                )
            except TypeError as error:
                elsewhere.report(FiringError(sq.name, self._ensemble, None, None, "", sq.line, str(error)))
                elsewhere.done()
                return
            if not body.put(instant, start, stop, values):
                return
            if sq.told and instant is None:
                instant = self._clock.monotonic(now)
            self.send(body.worker, protocol.RunBody(ident, start, stop, sent, now, instant, following))

        return fire

    def due(self, grid: GridSync, start: Tick) -> tuple[int, int]:
        """The instant of a source's firing, and the next one (monotonic)."""
        # The instant lies in the middle of the data's interval: start = instant - width // 2.
        instant = int(start) + grid.width // 2
        return self._clock.monotonic(instant), self._clock.monotonic(grid.limit(instant))

    def send(self, worker: str, command: Command) -> None:
        """Send a command to a worker; started if there is none by this name, or none any more."""
        self._channel(worker).send(command)

    def number(self) -> int:
        """A number by which no body and no region is known yet."""
        self._last_number += 1
        return self._last_number

    def bodies(self, context: ContextParts) -> Mapping[str, WorkerBody]:
        """By SQ, a context's bodies in workers."""
        return self._of.get(context, {})

    def ended_at(self, microseconds: int) -> None:
        """Bodies ended at this time (monotonic), and their results follow."""
        self._loop.advance(self._clock.at(microseconds))

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time."""
        self._loop.after(microseconds, call)

    def begin(self, context: Context) -> None:
        """Have the workers make the bodies of a context that were placed since the last call."""
        self._kept.watch(context)
        new = [body for body in self.bodies(context).values() if not body.begun]
        for body in new:
            body.begun = True
        for worker in dict.fromkeys(body.worker for body in new):
            self._start(worker, new)

    def _start(self, worker: str, bodies: Iterable[WorkerBody]) -> None:
        """Have a worker make those of a context's bodies that belong to it."""
        mine = [body for body in bodies if body.begun and body.worker == worker and not body.given_up]
        if mine:
            context = mine[0].context
            graph, new = context.prepared.graph.name, [body.as_new() for body in mine]
            self.send(worker, protocol.Start(graph, context.number, context.start_tick, new))

    def busy(self, context: Context, names: Collection[str] | None = None) -> str:
        """An SQ (of `names`, if given) whose body runs or waits to run in this context; empty when there is none."""
        if name := self.accelerator.busy(context, names):
            return name
        for name, body in self.bodies(context).items():
            if body.in_flight and (names is None or name in names):
                return name
        return ""

    def under_way(self, context: ContextParts) -> dict[str, OpenFiring]:
        """By SQ, the oldest firing that runs or waits to; of a region, by its first SQ."""
        found = {name: OpenFiring(mark, None, None) for name, mark in self.accelerator.oldest_runs(context).items()}
        for name, body in self.bodies(context).items():
            if body.in_flight:
                oldest = body.in_flight[0]
                found[name] = OpenFiring(oldest, oldest[1], oldest[2])
        return found

    def when_idle(self, contexts: list[Context], sqs: Collection[str], then: Callable[[], None]) -> None:
        """Call `then` when no body of these SQs runs; they are given no more."""
        if any(self.busy(context, sqs) for context in contexts):
            self._loop.after(LOOK_AGAIN, partial(self.when_idle, contexts, sqs, then))
        else:
            then()

    def forget(self, context: Context, names: Collection[str]) -> None:
        """End instances of a context; results that they still give are dropped."""
        mine = self._of.get(context, {})
        for body in [mine.pop(name) for name in names if name in mine]:
            del self._bodies[body.ident]
            body.gone = True
            self.send(body.worker, protocol.Drop(body.ident))
            for take_state in body.saved:
                take_state(context, body.elsewhere.sq.name, None, [])

    def save(self, context: Context, name: str, take_state: TakeState) -> None:
        """Ask for an instance's `sq_state` after the firings that were sent to it; of one given up it is the last."""
        body = self.bodies(context).get(name)
        if body is None or body.given_up:
            take_state(context, name, None if body is None else self._last_body(context, name), [])
        else:
            body.saved.append(take_state)
            self.send(body.worker, protocol.Save(body.ident))

    def restore(self, context: Context, name: str, sq_state: bytes) -> None:
        """Let an instance go on with an `sq_state`, before it fires again."""
        body = self.bodies(context).get(name)
        if body is not None:
            self.send(body.worker, protocol.Restore(body.ident, sq_state))

    def measured(self, context: Context, profile: bool) -> Measured:
        """The measured figures of a context's bodies; the costs of functions only if they are asked for (`profile`)."""
        bodies, together = self.bodies(context).values(), self.accelerator.together(context)
        return measured(bodies, together, self.in_processes, self._kept.of(context), profile)

    def stop(self, stop: StopGraph) -> None:
        """Forget a graph, or a context that has ended."""
        ended = [each for each in self._of if stop.ends((each.prepared.graph.name, each.number))]
        busy = {worker for worker in self._channels if any(context in ended for context, _ in self._oldest(worker))}
        self.accelerator.stop(stop)
        for context in ended:
            for body in self._of.pop(context).values():
                del self._bodies[body.ident]
                body.gone = True
                if stop.context is not None:
                    self.send(body.worker, protocol.Drop(body.ident))
        known = self._graphs.pop(stop.graph, None) if stop.context is None else None
        workers = set() if known is None else {HOME, *known.assigned.values()}
        for worker in workers & self._channels.keys():
            others = any(worker in other.assigned.values() for other in self._graphs.values())
            if worker.startswith(PERSISTENT) and not others:
                self.loading.assignment.ended(worker)
                self._loop.spawn(self._channels.pop(worker).close)
            else:
                self._channels[worker].send(protocol.Stop(stop.graph))
                if worker in busy:
                    self._timeouts.end_held_up(worker, LOADS)

    def close(self) -> None:
        """End every worker."""
        self._closing = True
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def _channel(self, worker: str) -> Channel:
        channel = self._channels.get(worker)
        if channel is None:
            settings = {
                "ensemble": self._ensemble,
                "components": self._components,
                "near": self._near,
                "max_value": self._max_value,
                "nice": 0 if worker == URGENT else ORDINARY_NICE,
            }
            if worker == HOME:
                channel = HomeChannel(self._loop, settings | {"encode": self._encode}, self._take)
            elif self.in_processes:
                self._restarts.setdefault(worker, Restarts()).started(monotonic_us())
                try:
                    channel = ProcessChannel(self._loop, settings, self._take, partial(self._died, worker))
                    self.memories.introduce(channel)
                except OSError as error:
                    why = f"cannot be started: {error.strerror} (see `ulimit -a`)"
                    logger.error("ensemble %r: the worker process (%s) %s", self._ensemble, worker, why)
                    channel = Paused()
                    self._loop.after(0, partial(self._died, worker, why))
            else:
                settings["encode"] = self._encode
                channel = ThreadChannel(self._loop, settings, self._take)
            self._channels[worker] = channel
        return channel

    def _take(self, answer: Answer | LeftHome) -> None:
        """Take an answer of a worker; one about a body or a graph that is gone is dropped."""
        if isinstance(answer, (RegionRan, RegionSkipped)):
            self.accelerator.answer(answer)
        elif isinstance(answer, BodiesLoaded):
            self.loading.answer(answer)
        elif isinstance(answer, LeftHome):
            self._left(answer)
        elif (body := self._bodies.get(answer.ident)) is None:
            return
        elif isinstance(answer, protocol.SavedState):
            body.state_came(answer)
        elif isinstance(answer, protocol.MetricsSet):
            body.metrics_set(answer)
        elif isinstance(answer, protocol.FiringLeftOut):
            body.stalest_left_out(answer)
        elif isinstance(answer, protocol.Begun):
            if body.in_flight:
                self._timeouts.began(body, answer.begun)
        else:
            self.ended_at(answer.ended)
            if isinstance(answer, protocol.FiringEnded):
                body.firing_ended(answer, self._clock)
            else:
                body.sent(answer)
                self.send(body.worker, protocol.GoOn(body.ident))

    def _left(self, answer: LeftHome) -> None:
        """Let bodies that leave home go on in their worker process, and those beside them leave, too."""
        home = self._channels.get(HOME)
        if not isinstance(home, HomeChannel):
            return  # the workers are closed
        idents, commands = home.withdraw(answer.ident)
        bodies = [self._bodies[ident] for ident in idents if ident in self._bodies]
        if not bodies:
            return  # they have ended
        context = bodies[0].context
        known, names = self._graphs[context.prepared.graph.name], [body.elsewhere.sq.name for body in bodies]
        logger.debug("ensemble %r: %s left home: %s", self._ensemble, ", ".join(names), answer.why)
        known.leaves(names)
        worker = known.assigned[names[0]]
        for body in bodies:
            body.worker, body.left = worker, answer.why
        if worker not in self._channels:  # it was given up
            mine = [name for name, its in known.assigned.items() if its == worker]
            self.send(worker, self.loading.again(known.graph.name, mine))
        for command in commands:
            self.send(worker, command)
        for name, body in self.bodies(context).items():
            if body.worker == HOME and name not in known.home:
                self.send(HOME, protocol.Leave(body.ident, f"{names[0]} beside it left"))

    def _died(self, worker: str, how: str) -> None:
        """Replace a worker: its graphs are loaded again, firings under way are lost, its instances are restored."""
        channel = self._channels.pop(worker, None)
        if self._closing:
            return
        oldest = self._oldest(worker).items()
        self._tell_death(worker, how, [(c.prepared.graph.name, sq, way.start, way.stop) for (c, sq), way in oldest])
        pause = self._restarts[worker].died(monotonic_us()) if how else 0  # for an end from here no graph is to blame
        for body in [body for body in self._bodies.values() if body.worker == worker]:
            body.firings_lost(self._clock)
        self.accelerator.died(worker)
        if pause is None:
            self._give_up(worker, how)
            return
        if pause:
            self._channels[worker] = Paused()
            self._loop.after(pause, partial(self._go_on, worker))
        given_up = {(b.context.prepared.graph.name, b.elsewhere.sq.name) for b in self._bodies.values() if b.given_up}
        for name, known in list(self._graphs.items()):  # one that cannot be loaded is stopped on the way
            sqs = [sq for sq, its in known.assigned.items() if its == worker and (name, sq) not in given_up]
            if worker in known.loading and how:
                why = how if isinstance(channel, Paused) else f"{how} while it prepared the graph"
                self.loading.answer(BodiesLoaded(name, f"the worker process ({worker}) {why}", worker))
                # The SQs that were being loaded may be the reason. Those that run already go on.
                running = [b for b in self._bodies.values() if b.begun and b.worker == worker and not b.given_up]
                sqs = [body.elsewhere.sq.name for body in running if body.context.prepared.graph.name == name]
            if sqs:
                self.send(worker, self.loading.again(name, sqs))
                for context, bodies in self._of.items():
                    if context.prepared.graph.name == name:
                        self._start(worker, bodies.values())
            if worker in known.loading:  # its answer has not come, and is still waited for
                self.send(worker, known.loading[worker])
        for body in list(self._bodies.values()):
            if body.worker == worker and not body.given_up:
                sq_state = self._last_body(body.context, body.elsewhere.sq.name)
                if sq_state is not None:
                    self.send(worker, protocol.Restore(body.ident, sq_state))
                for _ in body.saved:
                    self.send(worker, protocol.Save(body.ident))

    def _go_on(self, worker: str) -> None:
        """Replace a worker after a pause."""
        paused = self._channels.get(worker)
        if isinstance(paused, Paused) and not self._closing:
            del self._channels[worker]
            for command in paused.commands:
                self.send(worker, command)

    def _give_up(self, worker: str, how: str) -> None:
        """Replace a worker no more; SQs of later graphs start it anew."""
        times = self._restarts.pop(worker).in_a_row
        why = (
            f"its worker process ({worker}) died {times} times in a row and is not started again (at last it {how}):"
            " deploy the graph again when what ends the process is mended"
        )
        logger.error("ensemble %r gives a worker up: %s", self._ensemble, why)
        for known in self._graphs.values():
            if worker in known.loading:
                self.loading.answer(BodiesLoaded(known.graph.name, why, worker))
        for body in list(self._bodies.values()):
            if body.worker == worker and not body.given_up:
                body.give_up(why, self._ensemble, self._last_body(body.context, body.elsewhere.sq.name))


def _as_it_is(data: Data) -> Data:
    return data
