"""The workers of an ensemble, as the thread that keeps time sees them.

Ordinary bodies run in the main worker, plan Bs (and SQs that share a component with one) in a second one, an SQ with
`TTPersistent=True` in one of its own. Workers are started when a graph needs them. One that dies is replaced and
counted; what was in flight in it is lost, its instances go on from what was last saved of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from ticktalk.accelerate.device_parts import DeviceParts
from ticktalk.accelerate.worker_region import as_error, parts_of
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.codec import Data, Encoded, Parts, encode_value, encoded
from ticktalk.engine.components import Components
from ticktalk.engine.context import Context, Elsewhere, runs_elsewhere
from ticktalk.engine.firing import Fire, GridSync
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import FiringError
from ticktalk.physical.memory.arena import Memory
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import RootClock
from ticktalk.physical.workers.channels import Channel, ProcessChannel, ThreadChannel
from ticktalk.physical.workers.frames import by_itself
from ticktalk.physical.workers.worker import Answer, Command
from ticktalk.physical.workers.worker_body import TakeState, WorkerBody
from ticktalk.time import Tick

ORDINARY_NICE = 5
"""How much ordinary workers give way: beside busy ones plan B's worker still starts in time."""


class Workers:
    """Owned by the thread that keeps time.

    Args:
        ensemble: the ensemble's name.
        components: component name to factory text, driver object, or None.
        loop: for the sockets to worker processes.
        clock: the root clock.
        processes: whether bodies run in processes (else in threads of this one).
        near: folder beside which factories' modules are looked for.
        count_restart: told when a worker died and was replaced.
        last_body: gives the `sq_state` of an instance as it was last saved.
        encode: makes MessagePack of what bodies in threads return.
    """

    def __init__(
        self,
        ensemble: str,
        components: Components,
        loop: Loop,
        clock: RootClock,
        processes: bool = True,
        near: str = "",
        count_restart: Callable[[str], None] = lambda worker: None,
        last_body: Callable[[Context, str], bytes | None] = lambda context, sq: None,
        encode: Callable[[Any], Data] = encode_value,
    ) -> None:
        self._ensemble = ensemble
        self._last_body = last_body
        self._encode = encode
        self._memories: dict[bytes, tuple[Memory, Sequence[int]]] = {}  # of others, with rows to read by
        self._components = components
        self._loop = loop
        self._clock = clock
        # A driver object cannot be given to another process: its SQs run here.
        self._processes = processes and not any(
            driver is not None and not isinstance(driver, str) for driver in components.values()
        )
        self.mark: Callable[[Data], Any] = by_itself if self._processes else _as_it_is
        self._near = near
        self._count_restart = count_restart
        self._channels: dict[str, Channel] = {}
        self._placed: dict[int, WorkerBody] = {}
        self._of: dict[ContextParts, dict[str, WorkerBody]] = {}  # the same by context and SQ
        self._next = 0
        self._graphs: dict[str, TTGraph] = {}
        self._assigned: dict[str, dict[str, str]] = {}  # graph -> SQ -> worker
        self._loading: dict[str, tuple[set[str], list[str], Callable[[str | None], None]]] = {}
        self._starts: dict[str, list[tuple[int, int, dict[str, list[Any]]]]] = {}
        self._closing = False
        self.parts = DeviceParts(self)

    @property
    def in_processes(self) -> bool:
        """Whether bodies run in processes of their own; else in threads of this one."""
        return self._processes

    def load(self, graph: TTGraph, sqs: list[TTSQ], loaded: Callable[[str | None], None]) -> None:
        """Have the bodies of `sqs` compiled where they will run; `loaded` is told the problem, or None.

        More SQs of a graph may be loaded later, one load after the other.
        """
        known = self._assigned.setdefault(graph.name, {})
        here = [sq for sq in graph.sqs if sq.name in known]
        new = [sq for sq in sqs if runs_elsewhere(sq) and sq.name not in known]
        by_name = self._assign([*here, *new])
        assigned = {sq.name: by_name[sq.name] for sq in new}
        self._graphs[graph.name] = graph
        known.update(assigned)
        self._starts.setdefault(graph.name, [])
        by_worker: dict[str, list[str]] = {}
        for sq, worker in assigned.items():
            by_worker.setdefault(worker, []).append(sq)
        if not by_worker:
            loaded(None)
            return
        self._loading[graph.name] = (set(by_worker), [], loaded)
        text = msgspec.json.encode(graph)
        for worker, names in by_worker.items():
            self._channel(worker).send(("load", graph.name, text, names))

    def place(self, context: Context, elsewhere: Elsewhere) -> Fire:
        """What fires one body in its worker (`RunElsewhere`); `begin` tells the workers afterwards."""
        ident = self.number()
        sq = elsewhere.sq
        sync = context.syncs[sq.name]
        grid = sync if isinstance(sync, GridSync) else None
        worker = self._assigned[context.prepared.graph.name][sq.name]
        placed = WorkerBody(ident, worker, context, elsewhere, grid)
        self._placed[ident] = placed
        self._of.setdefault(context, {})[sq.name] = placed
        full = sync.full
        mark = self.mark

        def fire(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
            instant = following = None
            if grid is not None:
                instant, following = self.due(grid, start)
            try:
                sent = (
                    [(begin, end, mark(encoded(value))) for begin, end, value in values]
                    if full
                    else [mark(encoded(value)) for value in values]
                )
            except TypeError as error:
                elsewhere.report(FiringError(sq.name, self._ensemble, None, None, "", sq.line, str(error)))
                elsewhere.done()
                return
            placed.in_flight.append(instant)
            self.send(worker, ("fire", ident, start, stop, sent, now, instant, following))

        return fire

    def due(self, grid: GridSync, start: Tick) -> tuple[int, int]:
        """The instant of a source's firing, and the next one (monotonic)."""
        # The instant lies in the middle of the data's interval: start = instant - width // 2.
        instant = int(start) + grid.width // 2
        return self._clock.monotonic(instant), self._clock.monotonic(instant + grid.period)

    def send(self, worker: str, command: Command) -> None:
        """Send a command to a worker; looked up anew: one that died has been replaced."""
        self._channel(worker).send(command)

    def number(self) -> int:
        """A number by which no body and no part of a context is known yet."""
        self._next += 1
        return self._next

    def bodies(self, context: ContextParts) -> Mapping[str, WorkerBody]:
        """By SQ, a context's bodies in workers."""
        return self._of.get(context, {})

    def ended_at(self, microseconds: int) -> None:
        """Bodies ended at this time (monotonic), and what they sent is looked at next."""
        self._loop.advance(self._clock.at(microseconds))

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time."""
        self._loop.after(microseconds, call)

    def begin(self, context: Context) -> None:
        """Tell the workers of bodies of a context that were placed; before any of them fires."""
        graph = context.prepared.graph.name
        by_worker: dict[str, list[Any]] = {}
        for placed in self._of.get(context, {}).values():
            if not placed.told:
                placed.told = True
                entry = (placed.ident, placed.elsewhere.sq.name, placed.elsewhere.paths, placed.elsewhere.unpack)
                by_worker.setdefault(placed.worker, []).append(entry)
        if by_worker:
            self._starts[graph].append((context.number, context.start_tick, by_worker))
        for worker, instances in by_worker.items():
            self.send(worker, ("start", graph, context.number, context.start_tick, instances))

    def busy(self, context: Context, names: Collection[str] | None = None) -> str:
        """The SQ (of `names`, if given) whose body runs or waits to run in this context; empty when there is none."""
        if name := self.parts.busy(context, names):
            return name
        for name, placed in self._of.get(context, {}).items():
            if placed.in_flight and (names is None or name in names):
                return name
        return ""

    def forget(self, context: Context, names: Collection[str]) -> None:
        """End instances of a context; what they still do is seen by nobody."""
        mine = self._of.get(context, {})
        gone = [mine.pop(name).ident for name in names if name in mine]
        for ident in gone:
            placed = self._placed.pop(ident)
            placed.gone = True
            self._channel(placed.worker).send(("drop", ident))
            for answer in placed.saved:
                answer(context, placed.elsewhere.sq.name, None, [])
        # A worker that is replaced is not to begin them again.
        starts = self._starts.get(context.prepared.graph.name, [])
        for _, _, by_worker in starts:
            for worker, instances in list(by_worker.items()):
                by_worker[worker] = [entry for entry in instances if entry[0] not in gone]
                if not by_worker[worker]:
                    del by_worker[worker]
        starts[:] = [start for start in starts if start[2]]

    def save(self, context: Context, name: str, saved: TakeState) -> None:
        """Ask for an instance's `sq_state` as it is after the firings that were sent to it."""
        placed = self._of.get(context, {}).get(name)
        if placed is None:
            saved(context, name, None, [])
        else:
            placed.saved.append(saved)
            self.send(placed.worker, ("save", placed.ident))

    def restore(self, context: Context, name: str, data: bytes) -> None:
        """Let an instance go on with an `sq_state`, before it fires again."""
        placed = self._of.get(context, {}).get(name)
        if placed is not None:
            self.send(placed.worker, ("restore", placed.ident, data))

    def lateness(self, context: Context) -> dict[str, list[int]]:
        """By stream: count, mean and worst of how late its bodies started after their instants (microseconds)."""
        return {name: placed.lateness for name, placed in self._of.get(context, {}).items() if placed.lateness}

    def profile(self, context: Context) -> dict[str, tuple[list[int], list[int]]]:
        """By function: times (microseconds) of some of its runs, and sizes (bytes) of their tokens."""
        found: dict[str, tuple[list[int], list[int]]] = {}
        for placed in self._of.get(context, {}).values():
            if placed.elsewhere.sq.body:
                times, sizes = found.setdefault(placed.elsewhere.sq.function, ([], []))
                times += placed.costs.times
                sizes += placed.costs.sizes
        return found

    def stop(self, graph: str) -> None:
        """Forget a graph."""
        self._graphs.pop(graph, None)
        self._starts.pop(graph, None)
        self._loading.pop(graph, None)
        workers = set((self._assigned.pop(graph, None) or {}).values())
        self.parts.stop(graph)
        for context in [context for context in self._of if context.prepared.graph.name == graph]:
            for placed in self._of.pop(context).values():
                del self._placed[placed.ident]
        for worker in workers:
            if worker.startswith("persistent "):
                if worker in self._channels:
                    self._loop.spawn(self._channels.pop(worker).close)
            elif worker in self._channels:
                self._channels[worker].send(("stop", graph))

    def close(self) -> None:
        """End every worker."""
        self._closing = True
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def _assign(self, sqs: list[TTSQ]) -> dict[str, str]:
        """SQ to worker. A component lives in one process, and the SQs that use it run there."""
        components = {sq.name: {name for c in sq.constraints for name in c.components if sq.body} for sq in sqs}
        urgent = set().union(*(components[sq.name] for sq in sqs if sq.trigger == "plan_b"))
        users: dict[str, int] = {}
        for names in components.values():
            for name in names:
                users[name] = users.get(name, 0) + 1
        assigned = {}
        for sq in sqs:
            mine = components[sq.name]
            if sq.trigger == "plan_b" or mine & urgent:
                assigned[sq.name] = "plan B"
            elif sq.persistent and all(users[name] == 1 for name in mine):
                assigned[sq.name] = f"persistent {sq.name}"
            else:
                assigned[sq.name] = "main"
        return assigned

    def _channel(self, worker: str) -> Channel:
        channel = self._channels.get(worker)
        if channel is None:
            settings = {
                "ensemble": self._ensemble,
                "components": self._components,
                "near": self._near,
                "nice": 0 if worker == "plan B" else ORDINARY_NICE,
            }
            if self._processes:
                channel = ProcessChannel(self._loop, settings, self._answer, lambda: self._died(worker))
                for memory, rows in self._memories.values():
                    self._share(channel, memory, rows)
            else:
                settings["encode"] = self._encode
                channel = ThreadChannel(self._loop, settings, self._answer)
            self._channels[worker] = channel
        return channel

    def share(self, memory: Memory, rows: Sequence[int]) -> None:
        """Let workers read in another ensemble's memory: each by one of these rows, as long as there are some."""
        self._memories[memory.nonce] = (memory, rows)
        for channel in self._process_channels():
            self._share(channel, memory, rows)

    def _share(self, channel: ProcessChannel, memory: Memory, rows: Sequence[int]) -> None:
        used = {other.rows.get(memory.nonce) for other in self._process_channels()}
        row = next((row for row in rows if row not in used and memory.clear(row)), None)
        if row is not None:
            channel.share(memory, row)

    def share_no_more(self, nonce: bytes) -> None:
        """Let them forget a memory."""
        self._memories.pop(nonce, None)
        for channel in self._process_channels():
            channel.share_no_more(nonce)

    def _process_channels(self) -> list[ProcessChannel]:
        return [channel for channel in self._channels.values() if isinstance(channel, ProcessChannel)]

    def _answer(self, answer: Answer) -> None:
        kind = answer[0]
        if kind == "loaded":
            self._loaded(answer[1], answer[2])
            return
        placed = self._placed.get(answer[1])
        if placed is None:
            self.parts.answer(answer)
            return
        told = placed.elsewhere
        if kind == "counted":
            told.tally(answer[2])
            return
        if kind == "saved":
            placed.saved.popleft()(placed.context, told.sq.name, answer[2], answer[3])
            if placed.ended is not None:
                placed.ended()
            return
        instant = placed.in_flight.popleft() if placed.in_flight else None
        if kind in ("fired", "together"):
            _, _, *what, start, stop, begun, ended = answer
            self.ended_at(ended)
            parts = parts_of(what, told) if kind == "together" or what[0] else None  # else nothing was said
            if parts is not None:
                if placed.stamp and placed.grid is not None:
                    middle = self._clock.at((begun + ended) // 2)
                    start = middle - placed.grid.width // 2
                    stop = start + placed.grid.width
                told.send(parts, start, stop)
            if instant is not None:
                placed.late(begun - instant)
            placed.took(ended - begun)
            placed.costs.add(ended - begun, sizes(parts) if placed.costs.wanted else ())
        elif kind == "failed":
            placed.took(answer[4] - answer[3])
            told.report(as_error(answer[2]))
        elif kind == "skipped":
            told.tally("skipped")
        told.done()
        if placed.ended is not None:
            placed.ended()

    def _loaded(self, graph: str, problem: str | None) -> None:
        waiting = self._loading.get(graph)
        if waiting is None:
            return
        workers, problems, loaded = waiting
        if problem is not None:
            problems.append(problem)
        workers.pop()
        if not workers:
            del self._loading[graph]
            loaded("; ".join(dict.fromkeys(problems)) or None)

    def _died(self, worker: str) -> None:
        """Replace a worker: its graphs are loaded again, what was in flight is lost, its instances are restored."""
        self._channels.pop(worker, None)
        if self._closing:
            return
        self._count_restart(worker)
        for placed in self._placed.values():
            if placed.worker == worker:
                for _ in placed.in_flight:
                    placed.elsewhere.tally("lost")
                    placed.elsewhere.done()
                placed.in_flight.clear()
        self.parts.died(worker)
        for graph, assigned in list(self._assigned.items()):  # one that cannot be loaded is stopped on the way
            names = [sq for sq, its_worker in assigned.items() if its_worker == worker]
            if not names:
                continue
            if graph in self._loading:
                self._loaded(graph, f"the worker process ({worker}) died while it prepared the graph")
                continue
            channel = self._channel(worker)
            channel.send(("load", graph, msgspec.json.encode(self._graphs[graph]), names))
            for number, tick, by_worker in self._starts[graph]:
                if worker in by_worker:
                    channel.send(("start", graph, number, tick, by_worker[worker]))
        for ident, placed in list(self._placed.items()):
            if placed.worker == worker:
                name = placed.elsewhere.sq.name
                data = self._last_body(placed.context, name)
                if data is not None:
                    self._channel(worker).send(("restore", ident, data))
                for _ in placed.saved:
                    self._channel(worker).send(("save", ident))


def sizes(parts: Parts | Encoded | None) -> list[int]:
    """The sizes of tokens."""
    if isinstance(parts, Encoded):
        return [len(parts.data)]
    return [] if parts is None else [len(part.data) for part in parts.by_path.values()]


def _as_it_is(data: Data) -> Data:
    return data


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
