"""Instances that come to an ensemble on a device, leave it, or are saved in case it dies.

Owned by the thread that keeps time. The rules are `EnsembleHost`'s; what takes time on a device is here: code is loaded
in workers, bodies in flight end before their instance is handed over, a body's state is asked of its worker. For
one graph, one such thing is done after the other, in the order in which the manager asked for them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ticktalk.engine.codec import Data, Encoded
from ticktalk.engine.context import Context
from ticktalk.engine.forwarding import arc_name
from ticktalk.graph.sq import TTSQ
from ticktalk.messages import Message, NetMsg, RuntimeMsg
from ticktalk.payloads import Checkpoint, Expect, Handed, HandOver, HowFar, InstanceState, Placed, Placement, SoFar
from ticktalk.time import Tick

if TYPE_CHECKING:
    from ticktalk.physical.node import Node

logger = logging.getLogger("ticktalk")

LOOK_AGAIN = 1_000
"""Microseconds between two looks whether what was under way has ended."""

UNDER_WAY_LIMIT = 1_000_000
"""Microseconds for which tokens that were sent before a move are waited for."""

KEPT = 100_000
"""Tokens kept for SQs that will come; beyond that the newest are lost."""

Kept = tuple[int, Tick, Tick, Data]
"""`(number, start, stop, value)`"""

Passed = dict[int, dict[str, int]]
"""By context and arc, the number of a token."""

Job = Callable[[Callable[[], None]], None]
"""Does something, and calls what it is given when it is done."""


class Moves:
    """See above.

    Args:
        node: the ensemble's.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._jobs: dict[str, deque[Job]] = {}
        self._expected: dict[str, set[str]] = {}  # by graph: SQs that will come
        self.kept: dict[tuple[str, int], dict[str, list[Kept]]] = {}  # by context and arc: tokens for those
        self._known: dict[tuple[str, int], dict[str, InstanceState]] = {}  # what the manager has of each instance
        self._said: set[str] = set()
        self._rested: dict[tuple[str, int], int] = {}  # by context that was idle when it was saved: what had come
        self._answers: dict[str, Callable[[SoFar], None]] = {}  # by graph: takes what was asked of who sends
        node.take_control[NetMsg.HOW_FAR] = lambda asked, stamp: self._tell_how_far(asked)
        node.take_control[NetMsg.SO_FAR] = lambda answer, stamp: self._so_far(answer)

    # One thing after the other.

    def do(self, graph: str, job: Job) -> None:
        """Do something with a graph, when what was begun before is done."""
        jobs = self._jobs.setdefault(graph, deque())
        jobs.append(job)
        if len(jobs) == 1:
            job(lambda: self._done(graph))

    def _done(self, graph: str) -> None:
        for key in [key for key in self._rested if key[0] == graph]:
            del self._rested[key]  # other SQs may be here now
        jobs = self._jobs.get(graph)
        if jobs:
            jobs.popleft()
        if jobs:
            jobs[0](lambda: self._done(graph))
        else:
            self._jobs.pop(graph, None)

    def under_way(self, graph: str) -> bool:
        """Whether SQs of a graph are coming or leaving: one that is asked meanwhile is not done."""
        return graph in self._jobs

    def forget(self, graph: str) -> None:
        """A graph was stopped."""
        self._jobs.pop(graph, None)
        self._expected.pop(graph, None)
        self._answers.pop(graph, None)
        for table in (self.kept, self._known, self._rested):
            for key in [key for key in table if key[0] == graph]:
                del table[key]

    # SQs that come.

    def expect(self, expect: Expect) -> None:
        """Prepare for SQs that will come, and keep what arrives for them; for no others of their graph."""

        def job(done: Callable[[], None]) -> None:
            self._expect_no_more(expect.graph)
            if not expect.sqs:
                done()
                return

            def tell(problem: str | None, sent: Passed) -> None:
                placed = Placed(expect.graph, self._node.name, expect.sqs, problem, expected=True, sent=sent)
                self._tell(RuntimeMsg.PLACED, placed)
                done()

            def loaded(problem: str | None) -> None:
                if problem is not None:
                    tell(problem, {})
                else:
                    self._ask_how_far(expect, partial(tell, None))

            prepared = self._node.host.prepared.get(expect.graph)
            if prepared is None:
                loaded(f"this ensemble does not hold graph {expect.graph!r}")
            else:
                self._load(expect.graph, [prepared.graph.sq(name) for name in expect.sqs], loaded)

        self.do(expect.graph, job)

    def _ask_how_far(self, expect: Expect, then: Callable[[Passed], None]) -> None:
        """Ask who sends to SQs that will come what they have sent so far: all that comes after that is kept here."""
        node, graph = self._node, expect.graph
        prepared = node.host.prepared[graph]
        coming = set(expect.sqs)
        arcs: dict[str, list[str]] = {}
        for producer in prepared.graph.sqs:
            host = prepared.host_of[producer.name]
            for index, arc in enumerate(producer.arcs):
                if host and any(to.sq in coming for to in arc.to):
                    arcs.setdefault(host, []).append(arc_name(producer.name, index))
        sent: Passed = {}
        missing = set(arcs)

        def take(answer: SoFar) -> None:
            for number, counts in answer.sent.items():
                sent.setdefault(number, {}).update(counts)
            missing.discard(answer.name)
            if not missing:
                end()

        def end() -> None:
            if self._answers.get(graph) is take:
                del self._answers[graph]
                then(sent)

        self._answers[graph] = take
        for host, names in arcs.items():
            node.send(host, Message(NetMsg.HOW_FAR, HowFar(node.name, graph, names), "TTNetworkManager"))
        if missing:
            node.loop.after(UNDER_WAY_LIMIT, end)  # one of them may be gone
        else:
            end()

    def _tell_how_far(self, asked: HowFar) -> None:
        node = self._node
        sent: Passed = {}
        for (graph, number), passing in node.tokens.of.items():
            if graph == asked.graph:
                counts = passing.numbers.sent
                sent[number] = {arc: counts[arc] for arc in asked.arcs if arc in counts}
        answer = SoFar(node.name, asked.graph, sent)
        node.send(asked.name, Message(NetMsg.SO_FAR, answer, "TTNetworkManager"))

    def _so_far(self, answer: SoFar) -> None:
        take = self._answers.get(answer.graph)
        if take is not None:
            take(answer)

    def _expect_no_more(self, graph: str) -> None:
        if self._expected.pop(graph, None) is not None:
            for key in [key for key in self.kept if key[0] == graph]:
                del self.kept[key]
            self._node.listen(graph)

    def place(self, placement: Placement) -> None:
        """Keep to where SQs are from now on; those that come are loaded first."""

        def job(done: Callable[[], None]) -> None:
            host = self._node.host
            if placement.graph not in host.prepared:
                done()
                return
            come = host.arriving(placement)

            def loaded(problem: str | None) -> None:
                # What handed-over SQs had sent here: what they send next must not overtake it.
                sent: Passed = {}
                for number, states in placement.states.items():
                    counts = sent.setdefault(number, {})
                    for state in states.values():
                        counts.update(state.sent)
                self._when_came(placement.graph, sent, lambda: self._enter(placement, come, problem, done))

            if come:
                self._load(placement.graph, come, loaded)
            else:
                self._enter(placement, [], None, done)

        self.do(placement.graph, job)

    def _load(self, graph: str, sqs: list[TTSQ], loaded: Callable[[str | None], None]) -> None:
        node = self._node
        problem = node.missing_components(sqs)
        if problem is not None:
            loaded(problem)
            return
        self._expected.setdefault(graph, set()).update(sq.name for sq in sqs)
        node.listen(graph, self._expected[graph])
        node.workers.load(node.host.prepared[graph].graph, sqs, loaded)

    def keep(self, graph: str, context: int, arc: str, number: int, start: Tick, stop: Tick, data: Data) -> None:
        """Keep a token for SQs that will come, if it is for one of them."""
        if graph in self._expected:
            tokens = self.kept.setdefault((graph, context), {}).setdefault(arc, [])
            if len(tokens) < KEPT:
                tokens.append((number, start, stop, data))

    @property
    def keeps(self) -> bool:
        """Whether SQs are to come here."""
        return bool(self._expected)

    def _when_came(self, graph: str, sent: Passed, then: Callable[[], None]) -> None:
        """Wait until tokens of these numbers have come on arcs that lead here, but not for long."""
        node, now = self._node, self._node.agenda.now

        def missing() -> bool:
            for number, counts in sent.items():
                passing = node.tokens.of.get((graph, number))
                if passing is not None:
                    received = passing.numbers.numbers
                    if any(received.get(arc, count) < count for arc, count in counts.items()):
                        return True
            return False

        def look() -> None:
            if missing() and node.clock.now() - now < UNDER_WAY_LIMIT:
                node.loop.after(LOOK_AGAIN, look)
            else:
                then()

        look()

    def _enter(self, placement: Placement, come: list[TTSQ], problem: str | None, done: Callable[[], None]) -> None:
        node, graph = self._node, placement.graph
        prepared = node.host.prepared.get(graph)
        if prepared is None:
            done()
            return
        names = [sq.name for sq in come]
        if problem is not None:
            come = []
        renewed = {
            sq for sq, generation in placement.generations.items() if prepared.generations.get(sq, 0) != generation
        }
        contexts = [(number, context) for (name, number), context in node.host.contexts.items() if name == graph]
        before = {number: set(context.syncs) for number, context in contexts}
        for number, _ in contexts:
            node.tokens.of[graph, number].renew(renewed)
        replaced = {sq.name for sq in come}
        for number, context in contexts:
            # Those of an older generation end before their successors come.
            node.workers.forget(context, replaced & before[number])
        node.host.place(placement, come, Encoded)
        for number, context in contexts:
            node.workers.forget(context, before[number] - set(context.syncs))
            node.workers.begin(context)
            # One that is here already goes on as it is: it is told to who was cut off, should it not have heard.
            states = {sq: state for sq, state in placement.states.get(number, {}).items() if sq in replaced}
            for sq, state in states.items():
                if state.body is not None:
                    node.workers.restore(context, sq, state.body)
            node.tokens.of[graph, number].come(states, renewed)
            self._known.setdefault((graph, number), {}).update(states)
        self._expected.get(graph, set()).difference_update(names)
        if not self._expected.get(graph):
            self._expected.pop(graph, None)
        node.listen(graph, self._expected.get(graph, set()))
        for number, context in contexts:
            self._replay(graph, number, context, come, placement.states.get(number, {}))
        if names:
            self._tell(RuntimeMsg.PLACED, Placed(graph, node.name, names, problem))
        done()

    def _replay(
        self, graph: str, number: int, context: Context, come: list[TTSQ], states: dict[str, InstanceState]
    ) -> None:
        kept = self.kept.pop((graph, number), {})
        passed = self._node.tokens.of[graph, number].numbers
        arrived = {sq.name for sq in come if sq.name in context.syncs}
        for producer in self._node.host.prepared[graph].graph.sqs:
            for index, arc in enumerate(producer.arcs):
                name = arc_name(producer.name, index)
                for to in arc.to:
                    state = states.get(to.sq)
                    taken = state.received.get(name, 0) if state is not None else 0
                    for token, start, stop, data in kept.get(name, ()) if to.sq in arrived else ():
                        if token > taken:
                            if token > passed.numbers.get(name, 0):
                                passed.receive(name, token)
                            context.syncs[to.sq].receive(to.port, start, stop, Encoded(data), from_other_ensemble=True)
        if self._expected.get(graph):
            self.kept[graph, number] = kept  # for those that have still to come

    # SQs that leave.

    def hand_over(self, order: HandOver) -> None:
        """End instances when their bodies have, and send what they go on with to the manager."""

        def job(done: Callable[[], None]) -> None:
            node = self._node
            contexts: list[Context] = []

            def begin() -> None:
                contexts.extend(self._contexts(order.graph))
                for context in contexts:
                    context.hold(order.to)
                look()

            def look() -> None:
                if any(node.workers.busy(context, order.to) for context in contexts):
                    node.loop.after(LOOK_AGAIN, look)
                    return
                self._bodies(contexts, order.to, send)

            def send(bodies: dict[tuple[int, str], bytes | None], left_out: list[str]) -> None:
                if order.graph not in node.host.prepared:
                    done()
                    return
                handed = node.host.hand_over(order)
                states = {
                    number: self._whole(order.graph, number, found, bodies) for number, found in handed.states.items()
                }
                for context in contexts:
                    node.workers.forget(context, order.to)
                handed = Handed(handed.graph, handed.ensemble, states, [*handed.left_out, *left_out])
                self._tell(RuntimeMsg.HANDED, handed)
                done()

            self._when_came(order.graph, order.sent, begin)

        self.do(order.graph, job)

    def checkpoint(self, graph: str, number: int) -> None:
        """Send the manager what it does not know yet of the instances of a context."""
        node = self._node
        context = node.host.contexts.get((graph, number))
        if context is None or graph in self._jobs or self._rests(context):
            return
        taken = node.host.checkpoint(graph, number)

        def send(bodies: dict[tuple[int, str], bytes | None], left_out: list[str]) -> None:
            known = self._known.setdefault((graph, number), {})
            states = self._whole(graph, number, taken.states, bodies)
            changed = {sq: state for sq, state in states.items() if known.get(sq) != state}
            known.update(changed)
            new = [text for text in (*taken.left_out, *left_out) if text not in self._said]
            self._said.update(new)
            if changed or new:
                told = Checkpoint(graph, number, node.name, taken.tick, changed, taken.generations, new)
                self._tell(RuntimeMsg.CHECKPOINT, told)

        self._bodies([context], taken.states, send)

    def last_body(self, context: Context, sq: str) -> bytes | None:
        """The `sq_state` of an instance as last saved."""
        state = self._known.get((context.prepared.graph.name, context.number), {}).get(sq)
        return state.body if state is not None else None

    def _bodies(
        self,
        contexts: list[Context],
        names: Iterable[str],
        got: Callable[[dict[tuple[int, str], bytes | None], list[str]], None],
    ) -> None:
        """Ask the workers for the `sq_state` of stateful instances."""
        wanted = [
            (context, name)
            for context in contexts
            for name in names
            if name in context.syncs and context.syncs[name].sq.stateful and name not in context.executes
        ]
        bodies: dict[tuple[int, str], bytes | None] = {}
        left_out: list[str] = []
        missing = len(wanted)
        if not missing:
            got(bodies, left_out)

        def answer(context: Context, name: str, data: bytes | None, said: list[str]) -> None:
            nonlocal missing
            bodies[context.number, name] = data
            left_out.extend(said)
            missing -= 1
            if not missing:
                got(bodies, left_out)

        for context, name in wanted:
            self._node.workers.save(context, name, answer)

    def _whole(
        self,
        graph: str,
        number: int,
        states: dict[str, InstanceState],
        bodies: dict[tuple[int, str], bytes | None],
    ) -> dict[str, InstanceState]:
        passed = self._node.tokens.of[graph, number].of_instances(states)
        return {
            sq: msgspec.structs.replace(
                state, body=bodies.get((number, sq), state.body), sent=passed[sq][0], received=passed[sq][1]
            )
            for sq, state in states.items()
        }

    def _rests(self, context: Context) -> bool:
        """Whether a context was idle when it was saved last, still is, and nothing has come: nothing has changed."""
        key = (context.prepared.graph.name, context.number)
        before = self._rested.pop(key, None)
        if self._node.busy(key, context):
            return False
        self._rested[key] = came = self._node.tokens.of[key].came
        return came == before

    def _contexts(self, graph: str) -> list[Context]:
        return [context for (name, _), context in self._node.host.contexts.items() if name == graph]

    def _tell(self, kind: RuntimeMsg, payload: Any) -> None:
        node = self._node
        node.send(node.manager, Message(kind, payload, "TTRuntimeManagerProcess"))
