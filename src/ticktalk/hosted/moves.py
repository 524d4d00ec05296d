"""Moves: SQs that come to an ensemble, and SQs that leave it, while their graphs run.

An SQ that is handed over loses no token and takes none twice:

1. The receiver gets its code ready, subscribes to its arcs and keeps their tokens (`expect`). It asks the senders for
   their token numbers (`HowFar`): all later tokens reach the receiver, too.
2. The old ensemble waits until all up to there has come. Then it holds the SQ, waits until its body is idle, and hands
   over its state (`hand_over`).
3. The receiver places it, and gives it the kept tokens that the old host had not taken (`place`).

Tokens that the SQ itself sent may still be under way: its next tokens go behind those at the receiver, and on other
ensembles, too (`physical/network/former_hosts.py`). After a loss, an SQ comes without steps 1 and 2, under a new
generation: tokens of its old one are dropped. For one graph, one of these is done after the other, as it was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from ticktalk.defaults import MAX_FRAME
from ticktalk.engine.context import Context
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.arc_numbers import ContextArcs
from ticktalk.hosted.asked_senders import AskedSenders, Numbers, Send
from ticktalk.hosted.body_runner import Bodies
from ticktalk.hosted.checkpoints import BodyStates, Checkpoints, Key, parts_of_contexts, whole
from ticktalk.hosted.subscriptions import senders_to
from ticktalk.hosted.switching import behind, in_time_again, late
from ticktalk.messages import NetMsg, RuntimeMsg
from ticktalk.payloads import Expect, Handed, HandOver, HowFar, InstanceState, Placed, Placement, SoFar
from ticktalk.ranges import MOST_LEFT_OUT, known
from ticktalk.time import Tick
from ticktalk.values.codec import Encoded

UNDER_WAY_LIMIT = 1_000_000
"""Root ticks for which tokens under way are waited for on a network that does not say how long they take."""

ANSWER_LIMIT = 10_000_000
"""The same for the answers of senders: one that stands still, and has not been lost yet, answers when it goes on."""

LONGEST = MAX_FRAME - (1 << 20)
"""Bytes of an instance that can move: the rest of a frame is for what stands beside the values."""

KEPT = 1_000_000
"""Tokens of one context kept for SQs that will come; beyond that the newest are lost."""

KEPT_BYTES = 256 << 20
"""Bytes of such tokens of all contexts, where they are encoded."""

Kept = tuple[str, int, Tick, Tick, Any]
"""A token that is kept: arc, number, start, stop, value."""

Job = Callable[[Callable[[], None]], None]
"""Starts work, and calls the given callback when the work is done."""


class _Wait(NamedTuple):
    """A wait for the tokens of a graph up to these numbers."""

    graph: str
    sent: Numbers
    then: Callable[[], None]


class Moves:
    """The moves of one ensemble; one of its duties.

    Args:
        host: the graphs and contexts of the ensemble.
        bodies: theirs.
        arcs: by context, how many tokens passed on its arcs; empty while SQs cannot move.
        checkpoints: theirs.
        manager: the manager's name.
        send: sends a control message.
        listen: `(graph, expected, arcs)`: subscribes to the arcs that end here or at SQs that will come, and to `arcs`.
        at: `(tick, call)`: calls `call()` at a root tick.
        come_by: the root tick by which each token sent to here before now, or (True) each answer, has come, or is lost.

    Attributes:
        keeps: SQs are to come, so tokens are kept for them.
        so_far: takes the answer of a sender.
        waits: waits for tokens; `look` is to be called when one has come.
    """

    def __init__(
        self,
        host: EnsembleHost,
        bodies: Bodies,
        arcs: dict[Key, ContextArcs],
        checkpoints: Checkpoints,
        manager: str,
        send: Send,
        listen: Callable[[str, Collection[str], Collection[str]], None],
        at: Callable[[int, Callable[[], None]], None],
        come_by: Callable[[bool], int],
    ) -> None:
        self._host, self._bodies, self._arcs, self._checkpoints = host, bodies, arcs, checkpoints
        self._manager, self._send, self._listen, self._at, self._come_by = manager, send, listen, at, come_by
        self.keeps = False
        self.waits: list[_Wait] = []
        self._jobs: dict[str, deque[Job]] = {}
        self._expected: dict[str, set[str]] = {}  # by graph: SQs that will come
        self._kept: dict[Key, list[Kept]] = {}
        self._kept_bytes = 0
        self._far: dict[str, Numbers] = {}  # by graph: how far senders were when they were asked
        self._senders = AskedSenders(host.name, send, at, come_by)
        self.so_far = self._senders.take
        self._states: dict[str, dict[int, dict[str, InstanceState]]] = {}  # by graph: parts of a placement to come

    # One thing after the other.

    def _do(self, graph: str, job: Job) -> None:
        """Do work on a graph after the work begun before."""
        jobs = self._jobs.setdefault(graph, deque())
        jobs.append(job)
        if len(jobs) == 1:
            job(partial(self._done, graph))
        else:
            self._senders.hurry(graph)

    def _done(self, graph: str) -> None:
        self._checkpoints.moved(graph)
        jobs = self._jobs.get(graph)
        if jobs:
            jobs.popleft()
        if jobs:
            jobs[0](partial(self._done, graph))
        else:
            self._jobs.pop(graph, None)

    def under_way(self, graph: str) -> bool:
        """True if SQs of a graph are coming or leaving, or tokens wait behind others that are under way."""
        return graph in self._jobs or any(wait.graph == graph for wait in self.waits)

    def forget(self, graph: str) -> None:
        """A graph was stopped."""
        self._jobs.pop(graph, None)
        self._senders.forget(graph)
        self._states.pop(graph, None)
        self._expect_no_more(graph)
        self.waits = [wait for wait in self.waits if wait.graph != graph]

    def _check(self, graph: str, sqs: Iterable[str]) -> None:
        """Make sure that a graph has these SQs, if it is here.

        Raises:
            InvalidMessageError: it has not.
        """
        prepared = self._host.prepared.get(graph)
        if prepared is not None:
            known(sqs, prepared.host_of, f"SQs of graph {graph!r}")

    # SQs that will come.

    def expect(self, expect: Expect) -> None:
        """Prepare for SQs that will come, and keep their tokens; for no others of their graph."""
        graph = expect.graph
        self._check(graph, expect.sqs)

        def job(done: Callable[[], None]) -> None:
            for host in senders_to(self._host.prepared.get(graph), self._expected.get(graph, ())):
                self._send(host, NetMsg.HOW_FAR, HowFar(self._host.name, graph, []))
            self._expect_no_more(graph)
            if graph in self._host.prepared:
                self._listen(graph, (), self._behind(graph))

            def tell(why: str | None, sent: Numbers) -> None:
                if why is None:
                    self._far[graph] = sent
                self._tell(RuntimeMsg.PLACED, Placed(graph, self._host.name, expect.sqs, why, True, sent, expect.told))
                done()

            def loaded(problem: str | None) -> None:
                if problem is not None:
                    tell(problem, {})
                else:
                    arcs = senders_to(self._host.prepared.get(graph), expect.sqs)
                    self._senders.ask(graph, arcs, partial(tell, None))

            prepared = self._host.prepared.get(graph)
            if not expect.sqs:
                tell(None, {})
            elif prepared is None:
                loaded(f"this ensemble does not hold graph {graph!r}")
            else:
                by_name = wiring_of(prepared.graph).by_name
                self._load(graph, [by_name[name] for name in expect.sqs], loaded)

        self._do(graph, job)

    def _expect_no_more(self, graph: str) -> None:
        self._expected.pop(graph, None)
        self.keeps = bool(self._expected)
        self._far.pop(graph, None)
        for key in [key for key in self._kept if key[0] == graph]:
            self._kept_of(key)

    def _load(self, graph: str, sqs: list[TTSQ], loaded: Callable[[str | None], None]) -> None:
        expected = self._expected.setdefault(graph, set())
        expected.update(sq.name for sq in sqs)
        self.keeps = True
        self._listen(graph, expected, self._behind(graph))
        self._bodies.load(self._host.prepared[graph].graph, sqs, loaded)

    def keep(self, graph: str, context: int, arc: str, number: int, start: Tick, stop: Tick, value: Any) -> None:
        """Keep a token for SQs that will come, if SQs of its graph will."""
        if graph in self._expected:
            tokens = self._kept.setdefault((graph, context), [])
            size = len(value.data) if value.__class__ is Encoded else 0
            if len(tokens) < KEPT and self._kept_bytes + size <= KEPT_BYTES:
                self._kept_bytes += size
                tokens.append((arc, number, start, stop, value))

    def _kept_of(self, key: Key) -> list[Kept]:
        """The tokens that were kept for SQs of a context; they are kept no longer."""
        kept = self._kept.pop(key, [])
        self._kept_bytes -= _bytes_of(kept)
        return kept

    def tell_how_far(self, asked: HowFar) -> None:
        """Answer a receiver; without arcs it wants no answer."""
        if asked.arcs:
            arcs = {number: passed for (graph, number), passed in self._arcs.items() if graph == asked.graph}
            sent = {number: passed.sent_on(asked.arcs) for number, passed in arcs.items()}
            self._send(asked.name, NetMsg.SO_FAR, SoFar(self._host.name, asked.graph, sent, asked.number))

    # Tokens that are under way.

    def look(self) -> None:
        """A token has come: go on where all awaited tokens are here."""
        for wait in self.waits[:]:
            if wait in self.waits and not self._lacks(wait.graph, wait.sent):
                self.waits.remove(wait)
                wait.then()

    def _when_came(self, graph: str, sent: Numbers, then: Callable[[], None]) -> None:
        """Call `then` when tokens up to these numbers have come on arcs that lead here, or never will."""
        if not self._lacks(graph, sent):
            then()
            return
        self.waits.append(wait := _Wait(graph, sent, then))

        def give_up() -> None:
            if any(each is wait for each in self.waits):
                self.waits = [each for each in self.waits if each is not wait]
                then()

        self._at(self._come_by(False), give_up)

    def _lacks(self, graph: str, sent: Numbers) -> bool:
        return any((graph, number) in self._arcs and self._arcs[graph, number].lacks(sent[number]) for number in sent)

    # SQs that come.

    def place(self, placement: Placement) -> None:
        """Use the new hosts of SQs from now on; SQs that come are loaded first."""
        states = self._states.pop(placement.graph, {})  # a part that is refused takes those before it along
        self._check(placement.graph, placement.generations)
        prepared = self._host.prepared.get(placement.graph)
        if prepared is not None:
            known(prepared.host_of, placement.host_of, f"SQs of graph {placement.graph!r}, without a place,")
            for number, saved in placement.states.items():
                known(saved, prepared.host_of, f"SQs of graph {placement.graph!r}")
                states.setdefault(number, {}).update(saved)
            if placement.more:
                self._states[placement.graph] = states
                return
            placement = msgspec.structs.replace(placement, states=states)

        def job(done: Callable[[], None]) -> None:
            if placement.graph not in self._host.prepared:
                done()
                return
            come = self._host.prepared[placement.graph].arriving(placement.host_of, placement.generations)
            enter = partial(self._enter, placement, come, done)
            if come:
                self._load(placement.graph, come, enter)
            else:
                enter(None)

        self._do(placement.graph, job)

    def _enter(self, placement: Placement, come: list[TTSQ], done: Callable[[], None], problem: str | None) -> None:
        host, graph = self._host, placement.graph
        prepared = host.prepared.get(graph)
        if prepared is None:
            done()
            return
        names, come = [sq.name for sq in come], come if problem is None else []
        arrived = {sq.name for sq in come}
        renewed = {sq for sq, count in placement.generations.items() if prepared.generations.get(sq, 0) != count}
        contexts = {key: context for key, context in host.contexts.items() if key[0] == graph}
        before = {key: set(context.syncs) for key, context in contexts.items()}
        for key, context in contexts.items():
            if key in self._arcs:
                self._arcs[key].renew(renewed)
            # Those of an older generation end before their successors come.
            self._bodies.forget(context, arrived & before[key])
        catch_up = behind(placement, come)
        host.place(placement, late(come, catch_up), self._bodies.decode)
        far = self._far.get(graph, {})
        for key, context in contexts.items():
            self._bodies.forget(context, before[key] - set(context.syncs))
            self._bodies.begin(context)
            # An SQ that is here already goes on as it is. Its placement is repeated to an ensemble that was cut off.
            states = {sq: state for sq, state in placement.states.get(key[1], {}).items() if sq in arrived}
            for sq, state in states.items():
                if state.body is not None:
                    self._bodies.restore(context, sq, state.body)
            if key in self._arcs:
                self._arcs[key].come(arrived, states, renewed, far.get(key[1], {}))
                self._put_behind(key, context, {sq: state for sq, state in states.items() if sq not in renewed})
            self._checkpoints.known(key, arrived, states)
            in_time_again(context, catch_up, self._at)
        self._expected.get(graph, set()).difference_update(names)
        if not self._expected.get(graph):
            self._expected.pop(graph, None)
            self._far.pop(graph, None)  # it says nothing of what comes later
            self.keeps = bool(self._expected)
        self._listen(graph, self._expected.get(graph, ()), self._behind(graph))
        for key, context in contexts.items():
            self._replay(key, context, arrived & context.syncs.keys(), renewed, placement.states.get(key[1], {}))
        if names or placement.told:
            self._tell(RuntimeMsg.PLACED, Placed(graph, host.name, names, problem, told=placement.told))
        done()

    def _put_behind(self, key: Key, context: Context, states: dict[str, InstanceState]) -> None:
        """New tokens of SQs that came go behind the tokens that they sent here from their former ensemble."""
        graph, number = key
        passed = self._arcs[key]
        by_name = context.prepared.wiring.by_name
        for sq, state in states.items():
            for arc, count in state.sent.items():
                took = passed.took.get(arc, {})
                to = {to.sq for to in by_name[sq].arcs[int(arc.rpartition("/")[2])].to}
                consumers = {name for name in to if name in context.syncs and took.get(name, -1) < count}
                if consumers and passed.numbers.get(arc, count) < count:
                    context.put_behind(arc, consumers)
                    self._when_came(graph, {number: {arc: count}}, partial(self._let_go, graph, context, arc))
        passed.settle()

    def _let_go(self, graph: str, context: Context, arc: str) -> None:
        context.let_go(arc)
        if graph in self._host.prepared:
            self._listen(graph, self._expected.get(graph, ()), self._behind(graph))

    def _behind(self, graph: str) -> set[str]:
        """Arcs of a graph on which tokens are under way here from where their SQ was before."""
        return {arc for context in self._host.contexts_of(graph) for arc in context.behind}

    def _replay(
        self,
        key: Key,
        context: Context,
        arrived: set[str],
        renewed: Collection[str],
        states: Mapping[str, InstanceState],
    ) -> None:
        """Give SQs that came (none comes to a context that has ended) their kept tokens that were not taken before."""
        kept, passed = self._kept_of(key), self._arcs.get(key)
        by_name = context.prepared.wiring.by_name
        # Tokens of this tick go behind those that waited at the former ensemble, and behind those kept here.
        later = {turn for _, turn in context.agenda.ready}
        syncs = [context.syncs[sq] for sq in states if sq in arrived and sq not in renewed]
        later.difference_update(sync for sync in syncs if sync.inbox or sync.remote)
        if syncs:
            context.take_turns(later)
        for name, number, start, stop, value in kept:
            sq, _, index = name.rpartition("/")
            for to in by_name[sq].arcs[int(index)].to:
                state = states.get(to.sq)
                if to.sq not in arrived or (state is not None and number <= state.received.get(name, 0)):
                    continue
                if passed is not None and passed.is_new(name, number):
                    passed.receive(name, number)
                context.syncs[to.sq].receive(to.port, start, stop, value, from_other_ensemble=True)
            context.take_turns(later)
        if self._expected.get(key[0]):
            self._kept[key] = kept  # for those that have still to come
            self._kept_bytes += _bytes_of(kept)

    # SQs that leave.

    def hand_over(self, order: HandOver) -> None:
        """End instances when their bodies are idle, and send the manager their states."""
        graph = order.graph
        self._check(graph, order.to)

        def job(done: Callable[[], None]) -> None:
            contexts: list[Context] = []

            def begin() -> None:
                contexts[:] = self._host.contexts_of(graph)
                for context in () if order.stay else contexts:  # else they are held as long as their graph is
                    context.hold(order.to)
                self._bodies.when_idle(contexts, order.to, save)

            def save() -> None:
                self._checkpoints.bodies_of(contexts, order.to, send)

            def send(states: BodyStates, left_out: list[str]) -> None:
                if graph in self._host.prepared:
                    if any(context not in contexts for context in self._host.contexts_of(graph)):
                        begin()  # a context has begun meanwhile, and its bodies have states, too
                        return
                    self._hand(order, contexts, states, left_out)
                done()

            self._when_came(graph, order.sent, partial(self._when_came, graph, self._waited_for(graph), begin))

        self._do(graph, job)

    def _hand(self, order: HandOver, contexts: list[Context], states: BodyStates, left_out: list[str]) -> None:
        """Send the states of instances, and end them; or let them go on, if one of them is too long for a message."""
        graph, handed = order.graph, self._host.hand_over(order)
        for number, saved in handed.states.items():
            for sq, state in saved.items():
                why = ""
                if (length := state.size + len(states.get((number, sq)) or b"")) > LONGEST:
                    why = (
                        f"{sq} of graph {graph!r} holds {length} bytes in its sq_state and in tokens that wait, and a"
                        f" message may have {LONGEST}: let it hold less, or stop the graph"
                    )
                elif not state.fits:
                    why = (
                        f"more tokens wait at {sq} of graph {graph!r} than a message may have: let fewer wait, or"
                        " stop the graph"
                    )
                if why:
                    for context in () if order.stay else contexts:
                        context.release(order.to)
                    self._tell(RuntimeMsg.HANDED, Handed(graph, self._host.name, {}, problem=why))
                    return
        found = {}
        for number, saved in handed.states.items():
            for sq in () if order.stay else saved:
                self._host.contexts[graph, number].remove(sq)
            found[number] = whole(saved, number, states, self._arcs[graph, number].of_instances(saved))
            self._checkpoints.known((graph, number), (), found[number])  # should a worker die in which they stay
        if not order.stay:
            prepared = self._host.prepared[graph]  # they are nowhere, so they come if they are placed here again
            prepared.place({**prepared.host_of, **dict.fromkeys(order.to, "")}, prepared.generations)
            for context in contexts:
                self._bodies.forget(context, order.to)
        left_out = [*handed.left_out, *left_out][:MOST_LEFT_OUT]
        # Values that are left out have a message of their own: with states it might be too long.
        *before, last = parts_of_contexts(found) + [{}] * bool(left_out)
        for part in before:
            self._tell(RuntimeMsg.HANDED, Handed(graph, self._host.name, part, more=True))
        self._tell(RuntimeMsg.HANDED, Handed(graph, self._host.name, last, left_out))

    def _waited_for(self, graph: str) -> Numbers:
        """The numbers up to which tokens are under way to here, before others that wait behind them."""
        found: Numbers = {}
        for wait in self.waits:
            if wait.graph == graph:
                for number, counts in wait.sent.items():
                    found.setdefault(number, {}).update(counts)
        return found

    def _tell(self, kind: RuntimeMsg, payload: object) -> None:
        self._send(self._manager, kind, payload)


def _bytes_of(kept: list[Kept]) -> int:
    """The bytes of tokens, as far as they are encoded."""
    return sum(len(value.data) for *_, value in kept if value.__class__ is Encoded)
