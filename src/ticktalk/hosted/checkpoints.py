"""Checkpoints: the saved states that let instances go on elsewhere if this ensemble dies.

They are taken at equal distances from the start of a context. Only what has changed since the last one is sent, and a
context that rests is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import msgspec

from ticktalk.engine.context import Context
from ticktalk.engine.firing_chain import keeps_state
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.hosted.arc_numbers import ContextArcs
from ticktalk.hosted.body_runner import Bodies
from ticktalk.messages import LITTLE, OF_GRAPH, RuntimeMsg
from ticktalk.payloads import Checkpoint, InstanceState, StartContext, StopGraph
from ticktalk.ranges import MOST_LEFT_OUT

Key = tuple[str, int]
"""A graph's name and a context's number."""

Name = TypeVar("Name")

Tell = Callable[[RuntimeMsg, object], None]
"""`(kind, payload)`: sends the manager a message."""

BodyStates = dict[tuple[int, str], bytes | None]
"""The `sq_state` of bodies, by context and SQ."""

LARGE = OF_GRAPH - LITTLE
"""Bytes of instances in one message, unless a single one is longer."""

_NAMED = 32
"""Bytes that an instance has in a message at most, beside its state and twice its name."""

WARNED = MOST_LEFT_OUT
"""Values of a graph left out of checkpoints that are told and remembered."""


class Checkpoints:
    """The checkpoints of one ensemble.

    Args:
        host: the contexts.
        bodies: theirs.
        arcs: by context, how many tokens passed on its arcs.
        tell: sends the manager a message.
        heard: whether the manager can hear of a checkpoint now.
        busy: why a context is not idle here; empty when it is.
        at: `(tick, call, argument)`: calls `call(argument)` at a root tick.
    """

    def __init__(
        self,
        host: EnsembleHost,
        bodies: Bodies,
        arcs: Mapping[Key, ContextArcs],
        tell: Tell,
        busy: Callable[[Key], str],
        at: Callable[[int, Callable[[StartContext], None], StartContext], None],
        heard: Callable[[], bool] = lambda: True,
    ) -> None:
        self._host, self._bodies, self._arcs, self._tell = host, bodies, arcs, tell
        self._heard, self._busy, self._at = heard, busy, at
        self._known: dict[Key, dict[str, InstanceState]] = {}  # the state of each instance that the manager has
        self._anew: set[Key] = set()  # contexts of which the manager may lack any of them
        self._said: dict[str, set[str]] = {}  # by graph, values left out that were told; up to `WARNED`
        self._rested: dict[Key, int] = {}  # by context that was idle when it was saved: tokens received

    def begin(self, start: StartContext) -> None:
        """Save the instances of a context at equal distances from its start, as long as it is here."""
        if start.checkpoint:
            past = max(0, self._host.agenda.now - start.start_tick)
            self._at(start.start_tick - (-past // start.checkpoint) * start.checkpoint, self._due, start)

    def _due(self, start: StartContext) -> None:
        if (start.graph, start.context) in self._host.contexts:
            past = self._host.agenda.now - start.start_tick
            following = start.start_tick + (past // start.checkpoint + 1) * start.checkpoint
            self._at(following, self._due, start)
            self.save(start.graph, start.context)

    def leave(self, then: Callable[[], None]) -> None:
        """Send the manager all instances as they are, let none fire after that, and call `then`.

        Where they go on, no instant fires again, and no `sq_state` is lost.
        """
        contexts = dict(self._host.contexts) if self._heard() else {}
        under_way = set(contexts)

        def sent(key: Key) -> None:
            under_way.discard(key)
            if not under_way:
                then()

        for key, context in contexts.items():
            self.save(*key, partial(sent, key))
            context.rest()
        if not contexts:
            then()

    def save(self, graph: str, number: int, then: Callable[[], None] = lambda: None) -> None:
        """Send the manager the changes of the instances of a context; `then` is called when they are sent."""
        context = self._host.contexts.get((graph, number))
        if context is None or not self._heard() or self._rests((graph, number)):
            then()
            return
        taken = self._host.checkpoint(graph, number)
        numbers = self._arcs[graph, number].of_instances(taken.states)

        def send(bodies: BodyStates, left_out: list[str]) -> None:
            known = self._known.setdefault((graph, number), {})
            states = whole(taken.states, number, bodies, numbers)
            all_of_it = (graph, number) in self._anew
            self._anew.discard((graph, number))
            fit = {sq: state for sq, state in states.items() if state.fits}
            unfit = [f"{sq}: more tokens wait than a message may have" for sq in states if sq not in fit]
            changed = {sq: state for sq, state in fit.items() if all_of_it or known.get(sq) != state}
            known.update(changed)
            said = self._said.setdefault(graph, set())
            new = [text for text in (*taken.left_out, *left_out, *unfit) if text not in said][: WARNED - len(said)]
            said.update(new)
            # Values that are left out have a message of their own: with states it might be too long.
            for part in [*([{}] if new else []), *parts(changed)]:
                generations = {sq: taken.generations[sq] for sq in part}
                told = Checkpoint(graph, number, self._host.name, taken.tick, part, generations, new)
                self._tell(RuntimeMsg.CHECKPOINT, told)
                new = []
            then()

        self.bodies_of([context], taken.states, send)

    def send_anew(self) -> None:
        """The manager may not have all that was sent: the next checkpoint of each context is whole."""
        self._anew = set(self._known)
        self._rested.clear()

    def known(self, key: Key, come: Iterable[str], states: Mapping[str, InstanceState]) -> None:
        """Instances have come with states that the manager has."""
        known = self._known.setdefault(key, {})
        for sq in come:
            known.pop(sq, None)
        known.update(states)

    def last_body(self, context: Context, sq: str) -> bytes | None:
        """The `sq_state` of an instance as last saved."""
        state = self._known.get((context.prepared.graph.name, context.number), {}).get(sq)
        return state.body if state is not None else None

    def moved(self, graph: str) -> None:
        """Other SQs may be here now: no context of the graph rests."""
        for key in [key for key in self._rested if key[0] == graph]:
            del self._rested[key]

    def forget(self, stop: StopGraph) -> None:
        """Contexts have ended."""
        self.moved(stop.graph)
        for key in [key for key in self._known if stop.ends(key)]:
            del self._known[key]
            self._anew.discard(key)
        if stop.context is None:
            self._said.pop(stop.graph, None)

    def bodies_of(
        self, contexts: list[Context], sqs: Iterable[str], got: Callable[[BodyStates, list[str]], None]
    ) -> None:
        """Give `got` the `sq_state` of bodies that run away from their contexts, and the parts left out."""
        wanted = [
            (context, name)
            for context in contexts
            for name in sqs
            if name in context.syncs and name not in context.executes and keeps_state(context.syncs[name].sq)
        ]
        states: BodyStates = {}
        left_out: list[str] = []

        def answer(context: Context, name: str, state: bytes | None, said: list[str]) -> None:
            states[context.number, name] = state
            left_out.extend(said)
            if len(states) == len(wanted):
                got(states, left_out)

        for context, name in wanted:
            self._bodies.save(context, name, answer)
        if not wanted:
            got(states, left_out)

    def _rests(self, key: Key) -> bool:
        """True if a context was idle when last saved, is idle now, and no token came: nothing has changed."""
        before = self._rested.pop(key, None)
        if self._busy(key):
            return False
        self._rested[key] = came = self._arcs[key].came
        return came == before


def parts(states: Mapping[Name, InstanceState]) -> Iterator[dict[Name, InstanceState]]:
    """The instances in parts for one message each: of `LARGE` bytes, or of one instance."""
    part: dict[Name, InstanceState] = {}
    length = 0
    for name, state in states.items():
        size = state.size + _NAMED + 2 * len(str(name).encode())
        if part and length + size > LARGE:
            yield part
            part, length = {}, 0
        part[name] = state
        length += size
    if part:
        yield part


def parts_of_contexts(states: Mapping[int, Mapping[str, InstanceState]]) -> list[dict[int, dict[str, InstanceState]]]:
    """The same for instances of several contexts. Those without instances are in a part of their own, the first."""
    every = {(number, sq): state for number, saved in states.items() for sq, state in saved.items()}
    empty: dict[int, dict[str, InstanceState]] = {number: {} for number, saved in states.items() if not saved}
    found = [empty] if empty or not every else []
    for part in parts(every):
        by_context: dict[int, dict[str, InstanceState]] = {}
        for (number, sq), state in part.items():
            by_context.setdefault(number, {})[sq] = state
        found.append(by_context)
    return found


def whole(
    states: Mapping[str, InstanceState],
    number: int,
    bodies: BodyStates,
    numbers: Mapping[str, tuple[dict[str, int], dict[str, int]]],
) -> dict[str, InstanceState]:
    """Saved instances of context `number` with the `sq_state` of their bodies and how far their arcs are."""
    return {
        sq: msgspec.structs.replace(
            state, body=bodies.get((number, sq), state.body), sent=numbers[sq][0], received=numbers[sq][1]
        )
        for sq, state in states.items()
    }
