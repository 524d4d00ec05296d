"""One start of one graph on one ensemble: its SQs' sync, execute and forward parts, wired to one another.

It is given everything it talks to, and does not know which driver runs it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, cast

from ticktalk.counters import Counters, Counts
from ticktalk.engine.acceleration import Accelerated
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.execution import Send, TTSQExecute, firing_error
from ticktalk.engine.firing import make_sync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.deadline import DeadlineSync, PlanBSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import FiringChain, Report, Surroundings, copying, firing_chain
from ticktalk.engine.forwarding import TTSQForward, arc_name
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.engine.state import Load, Saver
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import FiringError, InstanceState, SavedSync
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.time.grid import Period
from ticktalk.values.codec import PLAIN, handed_on


class Context:
    """One start of a graph on this ensemble.

    Args:
        prepared: the graph as this ensemble holds it.
        number: the context's number, unique in its system (`TTTag.u`).
        start_tick: when it starts (root ticks), the same on every ensemble.
        agenda: the ensemble's timers; given the time by the driver.
        around: its sinks, and the way its bodies run.

    Attributes:
        closed: nothing fires any more.
        chains: by SQ, the stages that its firings pass.
        accelerated: the SQs that the accelerator has taken over.
        tap: takes note of what happens here; None: nobody does.
    """

    def __init__(
        self, prepared: PreparedGraph, number: int, start_tick: int, agenda: Agenda, around: Surroundings
    ) -> None:
        self.prepared = prepared
        self.number = number
        self.start_tick = start_tick
        self.agenda = agenda
        self._around = around
        self.tap = around.tap
        self.closed = False
        self.inputs: dict[str, Any] | None = None  # until its start tick
        self.counters = Counters() if self.tap is None else self.tap.counters
        self._until: int | None = None
        self.chains: dict[str, FiringChain] = {}
        self.executes: dict[str, TTSQExecute] = {}  # the bodies that run in place
        self.syncs: dict[str, TTSQSync] = {}
        self.forwards: dict[str, TTSQForward] = {}
        self.incoming: dict[str, list[tuple[TTSQSync, int]]] = {}  # where tokens of other ensembles' arcs go here
        self._held: dict[str, set[str]] = {}  # by reason, instances that fire no more
        self.watched: set[str] = set()  # by the driver: each of their tokens is to pass `TTSQForward.along`
        self.behind: dict[str, set[str]] = {}  # by arc of an SQ that came: consumers of tokens sent before it did
        if self.tap is not None:
            self.tap.watch(self)
        self._add(prepared.sqs)
        self._accelerator = around.accelerator
        self.accelerated: list[Accelerated] = []
        self.accelerate()

    def _add(self, sqs: list[TTSQ]) -> None:
        """Make the parts of SQs that are placed here, and wire them."""
        prepared, agenda = self.prepared, self.agenda
        host_of, here = prepared.host_of, prepared.here
        for sq in sqs:
            # Contexts that share an agenda keep to the graph's order, then to the order of their starts.
            order = prepared.order[sq.name] * 1_000_000 + self.number
            clock = prepared.clocks[sq.clock]
            self.syncs[sq.name] = make_sync(sq, order, agenda, self.counters, clock, self._around.eviction_bound)
        around, tap = self._around, self.tap
        fixed = around.run_elsewhere is None and not around.stages and not around.movable and tap is None
        for sq in sqs:
            lose = partial(self.counters.add, sq.name, "lost")
            self.forwards[sq.name] = TTSQForward(
                sq, self.syncs, host_of, here, around.publish, around.output, lose, fixed, around.publish_together
            )
            if tap is not None:
                tap.watch_forward(self.forwards[sq.name])
        deadline_of = {sq.plan_b: sq for sq in sqs if sq.plan_b is not None}
        for sq in sqs:
            deadline = deadline_of.get(sq.name)
            forward = self.forwards[deadline.name if deadline is not None and deadline.will_continue else sq.name]
            self._wire(sq, self.syncs[sq.name], forward)
            if tap is not None:
                tap.watch_sync(self.syncs[sq.name])
        for sq in sqs:
            sync = self.syncs[sq.name]
            if isinstance(sync, DeadlineSync) and sq.plan_b is not None:
                plan_b = self.syncs[sq.plan_b]
                assert isinstance(plan_b, PlanBSync)
                sync.plan_b, sync.plan_b_fire = plan_b, plan_b.fire
        self._route_incoming()

    def _route_incoming(self) -> None:
        self.incoming = {}
        feeders, order = self.prepared.wiring.feeders, self.prepared.order
        for name in sorted(self.syncs, key=order.__getitem__):
            sync = self.syncs[name]
            for port in sync.arc_ports:
                for producer, arc in feeders.get((name, port), ()):
                    if producer:
                        way = arc_name(producer, arc)
                        if producer not in self.syncs or name in self.behind.get(way, ()):
                            self.incoming.setdefault(way, []).append((sync, port))

    # Instances that move.

    def place(self, come: list[TTSQ], states: Mapping[str, InstanceState], load: Load) -> None:
        """Keep to the mapping that `prepared` has now: instances that are no longer placed here end, others come.

        Args:
            come: the SQs that are new here.
            states: their states; one that has none begins anew, on the graph's inputs.
            load: makes values again from their saved form.
        """
        self.decelerate()
        arriving = {sq.name for sq in come}
        for name in [
            name for name in self.syncs if self.prepared.host_of[name] != self.prepared.here or name in arriving
        ]:
            self.remove(name)
        self._add(come)
        for forward in self.forwards.values():
            forward.route(self.syncs, self.prepared.host_of)
        if self._until is not None:
            self.end_streams(self._until)
        saved: dict[str, dict[str, Any]] = {sq: dict(state.sync) for sq, state in states.items() if sq in arriving}
        for name in [name for name in saved if not self.syncs[name].fits(saved[name])]:
            self.counters.add(name, "invalid")
            del saved[name]  # it begins anew
        if self.inputs is not None:  # else its start tick is still to come, and all get theirs then
            self.inject(self.inputs, arriving - set(saved))
        now = self.agenda.now
        for sq in come:
            if sq.name in saved:
                self.syncs[sq.name].restore(saved[sq.name], load, now)
                execute, body = self.executes.get(sq.name), states[sq.name].body
                if execute is not None and body is not None:
                    execute.memory = load(body)
            if self.tap is not None:
                self.tap.moved(sq.name, True, states.get(sq.name))
        if "rest" in self._held:
            self.rest()
        self.accelerate()

    def put_behind(self, arc: str, consumers: Collection[str]) -> None:
        """An SQ that came has tokens on `arc` under way to `consumers` here: those from here wait for `let_go`."""
        for name in consumers:
            sync = self.syncs[name]
            waiting = TTSQSync(sync.sq, sync.key[0], self.agenda, self.counters, self._around.eviction_bound)
            waiting.hold()  # for good: it only keeps its input
            self.forwards[arc.rpartition("/")[0]].behind[arc, name] = waiting
        self.behind.setdefault(arc, set()).update(consumers)
        self._reroute()

    def let_go(self, arc: str) -> None:
        """No earlier token on `arc` is under way any more: the tokens that waited behind them go on."""
        self.take_turns()
        forward = self.forwards.get(arc.rpartition("/")[0])
        for name in self.behind.pop(arc, ()):
            waiting = forward.behind.pop((arc, name), None) if forward is not None else None
            for token in waiting.inbox if waiting is not None and name in self.syncs else ():
                self.syncs[name].receive(*token)
                self.take_turns()
        self._reroute()

    def take_turns(self, without: Collection[object] = ()) -> None:
        """Let the SQs that are ready here take their turns now, in their order, except some.

        Kept tokens are given one by one, with this call after each. They came at different times, so the firing rule
        must not see them together.
        """
        mine = set(self.syncs.values())
        while ready := [turn for _, turn in self.agenda.ready if turn in mine and turn not in without]:
            turn = min(ready)
            self.agenda.withdraw(turn)
            turn.step(self.agenda.now)

    def _reroute(self) -> None:
        self.decelerate()
        for forward in self.forwards.values():
            forward.route(self.syncs, self.prepared.host_of)
        self._route_incoming()
        self.accelerate()

    def remove(self, name: str) -> None:
        """End an instance here; `place` with another mapping comes after."""
        for arc in [arc for arc in self.behind if arc.rpartition("/")[0] == name]:
            self.let_go(arc)
        if self.tap is not None:
            self.tap.moved(name, False, None)
        self.syncs.pop(name).close()
        self.forwards.pop(name)
        self.executes.pop(name, None)
        self.chains.pop(name, None)
        self._held = {why: names - {name} for why, names in self._held.items()}
        self.watched.discard(name)

    @property
    def held(self) -> set[str]:
        """The instances that fire no more, for whatever reason."""
        return set[str]().union(*self._held.values())

    def hold(self, names: Iterable[str], why: str = "move") -> set[str]:
        """Let instances fire no more until `release`; tokens for them wait. The names of those not held so before."""
        new = self.syncs.keys() & set(names) - self._held.setdefault(why, set())
        if new:
            self.decelerate()
        for name in new - self.held:
            self.syncs[name].hold()
        self._held[why] |= new
        return new

    def release(self, names: Iterable[str], why: str = "move") -> None:
        """Let instances go on that were held for this reason; another one may still hold them."""
        let_go = self._held.get(why, set()) & set(names)
        self._held[why] = self._held.get(why, set()) - let_go
        for name in let_go - self.held:
            self.syncs[name].release()
        self.accelerate()

    def rest(self) -> None:
        """Let nothing fire any more, nor what comes: it is ending."""
        self.hold(self.syncs, "rest")

    def save(self, names: Iterable[str], saver: Saver) -> dict[str, InstanceState]:
        """The states with which instances go on elsewhere; without the `sq_state` of bodies in workers."""
        self._flush()
        found = {}
        for name in names:
            saver.sq = name
            execute = self.executes.get(name)
            body = saver.body(execute.memory) if execute is not None else None
            found[name] = InstanceState(cast(SavedSync, self.syncs[name].save(saver)), body)
        return found

    def set_grid(self, name: str, period: Period, phase: int, width: int, after: int | None = None) -> None:
        """Change a stream's grid (root ticks), for instants later than `after` (default: than now)."""
        sync = self.syncs.get(name)
        if isinstance(sync, GridSync):
            now = self.agenda.now
            self.decelerate()
            since = now if after is None else after
            if self.tap is not None:
                self.tap.grid_set(name, period, phase, width, since)
            sync.set_grid(period, phase, width, since)
            if sync.change is None:
                self.accelerate()
            elif self._accelerator is not None:
                self.agenda.deliver_at(now + 1, self.accelerate)  # the instant that is due now comes first

    def _wire(self, sq: TTSQ, sync: TTSQSync, forward: TTSQForward) -> None:
        if sync.handled:
            sync.leave = self.forwards[sq.name].leave
        if isinstance(sync, DeadlineSync):
            sync.pass_on = copying(forward.send) if sync.sticky_data else forward.send
            sync.report = self._firing_error
            return
        chain = self.chains[sq.name] = firing_chain(
            sq,
            forward,
            self,
            self._around,
            self.counters,
            self._count_error,
            self._firing_error,
            self._execute,
            sync.leave,
        )
        if chain.execute is not None:
            self.executes[sq.name] = chain.execute
        sync.fire = chain.fire

    def _execute(self, sq: TTSQ, send: Send, report: Report) -> TTSQExecute:
        prepared = self.prepared
        where = prepared.here, prepared.code, prepared.clocks[sq.clock], self.start_tick, prepared.components
        return TTSQExecute(sq, *where, send, report, self.number, partial(self.counters.add, sq.name))

    def inject(self, inputs: dict[str, Any], only: set[str] | None = None) -> None:
        """Give the graph's inputs to the ports here (of all SQs, or of `only`): first tokens never end."""
        self.inputs = inputs
        syncs = self.syncs if only is None else {name: self.syncs[name] for name in self.syncs if name in only}
        for sync in syncs.values():
            if isinstance(sync, DeadlineSync):
                for port in (0, 1):
                    constant = sync.sq.ports[port].constant
                    if constant is not None:
                        sync.receive(port, NEG_INFINITY, INFINITY, decode_constant(constant[0]))
        for source in self.prepared.graph.inputs:
            for to in source.to:
                if to.sq in syncs:
                    value = inputs[source.name]
                    syncs[to.sq].receive(to.port, NEG_INFINITY, INFINITY, handed_on(value))

    def arrive(self, arc: str, value: Any, start: Tick, stop: Tick, without: Collection[str] = ()) -> None:
        """Take a token from another ensemble, for all its consumers here but some."""
        plain = value.__class__ in PLAIN
        destinations = self.incoming.get(arc, ())
        if without:
            destinations = [(sync, port) for sync, port in destinations if sync.sq.name not in without]
        for sync, port in destinations:
            own = value if plain or len(destinations) == 1 else handed_on(value)
            sync.receive(port, start, stop, own, from_other_ensemble=True)

    def refuse(self, arc: str, start: Tick, stop: Tick, error: BaseException) -> None:
        """A token came that cannot be read here: an error of each SQ that it was for."""
        for sync, _ in self.incoming.get(arc, ()):
            self._firing_error(sync.sq.name, start, stop, error)

    # The accelerator.

    def accelerate(self) -> None:
        """Let the accelerator, if any, take over SQs, as they are placed and set now."""
        self.decelerate()
        if self._accelerator is not None and not self.closed:
            self.accelerated = list(self._accelerator.form(self))

    def decelerate(self) -> None:
        """Let the general engine go on with everything, from the next instants on, until `accelerate`."""
        for part in self.accelerated:
            part.retire()
        self.accelerated = []

    def _flush(self) -> None:
        for part in self.accelerated:
            part.flush()

    def stages_of(self, name: str) -> tuple[str, ...]:
        """The stages that the firings of an SQ pass."""
        return self.chains[name].stages

    @property
    def one_by_one(self) -> set[str]:
        """The SQs that the general engine runs: they take no turns at present, or their tokens are watched."""
        return self.held.union(self.watched, *self.behind.values())

    @property
    def counts(self) -> Counts:
        """The counters, up to date."""
        self._flush()
        for sync in self.syncs.values():
            sync.settle()
        return self.counters.by_sq

    def waiting(self) -> dict[str, dict[str, int]]:
        """SQ to port to number of tokens that wait there."""
        self._flush()
        found = {name: sync.waiting() for name, sync in self.syncs.items()}
        return {name: ports for name, ports in found.items() if ports}

    def end_streams(self, tick: int) -> None:
        """Let no stream fire at `tick` (root) or later."""
        self._until = tick
        for sync in self.syncs.values():
            if isinstance(sync, GridSync):
                sync.end_before(tick)

    def close(self) -> None:
        """End it: nothing fires any more, timers that are still due find nothing to do."""
        self.closed = True
        for part in self.accelerated:
            part.close()
        for sync in self.syncs.values():
            sync.close()

    def _firing_error(self, sq: str, start: Tick, stop: Tick, error: BaseException) -> None:
        self._count_error(
            firing_error(self.prepared.graph.sq(sq), self.prepared.here, self.prepared.code, error, start, stop)
        )

    def _count_error(self, error: FiringError) -> None:
        self.counters.add(error.sq, "errors")
        self._around.report(error)
