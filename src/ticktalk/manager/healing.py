"""Healing: SQs find another ensemble when theirs dies, is drained or comes back, while their graphs run.

The manager's rule. It owns what instances go on with (`checkpoints`), which SQs wait for an ensemble that fits, and the
moves under way; where SQs live is written into `GraphState.host_of` ("" for one that waits).

A loss: the SQs that lived there are placed by the mapper, each under a new generation, the others stay where they are;
ensembles that do not hold the graph yet are sent it first; then every ensemble is told the new placement, and those
where SQs come are told what they go on with. A drain: the receivers prepare and keep what arrives, then the
ensemble hands over, then the same placement goes out, without a new generation: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Protocol

from ticktalk.errors import TTRuntimeError
from ticktalk.graph.sq import TTSQ
from ticktalk.manager.deployments import Deployments, GraphState, Registry
from ticktalk.mapping.ensembles import EnsembleInfo, why_not
from ticktalk.mapping.mapper import TTMapper, groups, modules_of, wants_text
from ticktalk.payloads import (
    Checkpoint,
    Deployment,
    Expect,
    Handed,
    HandOver,
    InstanceState,
    Placed,
    Placement,
    ReadyAnswer,
)


class Ways(Protocol):
    """How the rule reaches ensembles and people."""

    def place(self, ensemble: str, placement: Placement) -> None:
        """Send a placement."""

    def expect(self, ensemble: str, expect: Expect) -> None:
        """Have an ensemble prepare for SQs that will come."""

    def hand_over(self, ensemble: str, order: HandOver) -> None:
        """Have an ensemble give up SQs."""

    def dismiss(self, ensemble: str) -> None:
        """Let an ensemble go: nothing lives there any more."""

    def event(self, text: str) -> None:
        """Tell who listens what happened."""


class _Move:
    """A drain under way for one graph: SQ to ensemble, and who has still to get ready for them."""

    def __init__(self, source: str, to: dict[str, str]) -> None:
        self.source = source
        self.to = to
        self.waits_for = set(to.values())
        self.expected = self.ordered = self.handed = False  # how far it is
        self.sent: dict[int, dict[str, int]] = {}  # by context and arc: the last token that is not kept where they go


class Healing:
    """See above.

    Args:
        registry: who has joined.
        deployments: which graph lives where.
        ways: how ensembles and people are reached.
    """

    def __init__(self, registry: Registry, deployments: Deployments, ways: Ways) -> None:
        self._registry = registry
        self._deployments = deployments
        self._ways = ways
        self.checkpoints: dict[tuple[str, int], dict[str, InstanceState]] = {}
        self._left: dict[str, dict[str, str]] = {}  # by graph: SQs that wait, and who hosted them last
        self._away: dict[str, set[str]] = {}  # by ensemble that is lost: the graphs it holds, should it come back
        self._stopped: dict[str, set[str]] = {}  # by ensemble that is lost: the graphs it holds that were stopped since
        self._refused: set[tuple[str, str, str]] = set()  # (graph, SQ, ensemble): its code does not run there
        self._arriving: dict[str, set[str]] = {}  # by graph: placed anew, and not told yet
        self._states: dict[str, dict[int, dict[str, InstanceState]]] = {}  # by graph: handed over, and not told yet
        self._preparing: dict[str, set[str]] = {}  # by graph: who was sent it, and has not said ready
        self._alone: dict[tuple[str, str], list[str]] = {}  # what was told last
        self._said: set[str] = set()  # what was left out of checkpoints
        self.told: dict[str, int] = {}  # by graph: how often its ensembles were told where its SQs are
        self._moves: dict[str, _Move] = {}  # by graph
        self.isolated = False  # set by the driver: all vanished at once, so it may be the manager that is cut off
        self.draining: dict[str, Callable[[str | None], None]] = {}  # told the problem, or None, when it is empty

    # What happens to ensembles.

    def lost(self, name: str) -> None:
        """An ensemble is dead, or cut off: what lived there goes elsewhere."""
        drained = self.draining.pop(name, None)
        if drained is not None:
            drained(f"{name!r} died while it was drained; what lived there goes on elsewhere from its last checkpoint")
        for state in self._running():
            graph = state.graph.name
            move = self._moves.get(graph)
            if move is not None and (name == move.source or name in move.to.values()):
                self._give_up_move(graph, move, name)
            mine = [sq for sq, host in state.host_of.items() if host == name]
            if name in state.hosts:
                state.hosts.remove(name)
                self._away.setdefault(name, set()).add(graph)
            self._alone.pop((graph, name), None)
            self._left.setdefault(graph, {}).update(dict.fromkeys(mine, name))
            state.host_of.update(dict.fromkeys(mine, ""))
            self._preparing.get(graph, set()).discard(name)
            self._settle(state, bool(mine))
        self._go_on()

    def joined(self, info: EnsembleInfo) -> None:
        """An ensemble has started and joined: it takes work that waits, and nothing else."""
        self._away.pop(info.name, None)
        self._stopped.pop(info.name, None)
        self._refused = {entry for entry in self._refused if entry[2] != info.name}
        for state in self._running():
            self._settle(state)

    def back(self, info: EnsembleInfo) -> None:
        """An ensemble that was cut off is reached again, as it was: it keeps what was not placed elsewhere."""
        held = self._away.pop(info.name, set())
        for graph in sorted(self._stopped.pop(info.name, ())):
            self._deployments.stop_on(info.name, graph)
        for state in self._running():
            graph = state.graph.name
            if graph in held:
                left = self._left.get(graph, {})
                for sq in [sq for sq, host in left.items() if host == info.name]:
                    del left[sq]
                    state.host_of[sq] = info.name
                    # It was placed there, but may have been cut off before it was told: it says itself what is new.
                    self._arriving.setdefault(graph, set()).add(sq)
                state.hosts.append(info.name)
                for number in sorted(state.live):
                    self._deployments.start_on(info.name, state.live[number])  # those it has are left as they are
            self._settle(state, graph in held)

    def reunited(self) -> None:
        """The manager is not cut off any more, and who else lives has had the time to be heard: what is left waits."""
        self.isolated = False
        for state in self._running():
            self._settle(state)

    def drain(self, name: str, done: Callable[[str | None], None]) -> None:
        """Move all that lives on an ensemble, losing nothing, then let it go.

        Raises:
            TTRuntimeError: there is no such ensemble, or something may live nowhere else.
        """
        if name == self._registry.manager.name:
            raise TTRuntimeError(f"{name!r} is the manager's own ensemble: it cannot be drained")
        if name not in self._registry.ensembles:
            joined = ", ".join(self._registry.ensembles) or "none"
            raise TTRuntimeError(f"there is no ensemble {name!r} (joined: {joined})")
        if name in self.draining:
            raise TTRuntimeError(f"{name!r} is being drained already")
        moves: dict[str, dict[str, str]] = {}
        stay = []
        for state in self._running():
            graph = state.graph.name
            mine = [sq for sq, host in state.host_of.items() if host == name]
            if graph in self._moves and mine:
                raise TTRuntimeError(f"graph {graph!r} is on the move from {self._moves[graph].source!r}: try again")
            to = self._find(state, mine, without=name)
            needs = modules_of(state.graph)
            stay += [
                f"{sq} of graph {graph!r} (wants {wants_text(state.graph.sq(sq), needs)})"
                for sq in mine
                if sq not in to
            ]
            if to:
                moves[graph] = to
        if stay:
            raise TTRuntimeError(
                f"{name!r} cannot be drained, because no other ensemble may host\n  "
                + "\n  ".join(stay)
                + "\n  let an ensemble join that fits, or stop the graph"
            )
        self.draining[name] = done
        for graph, to in moves.items():
            self._moves[graph] = _Move(name, to)
            self._prepare(self._deployments.graphs[graph], set(to.values()))
        self._go_on()

    # What ensembles say.

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep what instances go on with, if they live where it comes from."""
        state = self._deployments.graphs.get(checkpoint.graph)
        if state is None or checkpoint.context not in state.live:
            return
        kept = self.checkpoints.setdefault((checkpoint.graph, checkpoint.context), {})
        for sq, saved in checkpoint.states.items():
            current = state.generations.get(sq, 0) == checkpoint.generations.get(sq, 0)
            if state.host_of.get(sq) == checkpoint.ensemble and current:
                kept[sq] = saved
        self._say_left_out(checkpoint.graph, checkpoint.left_out)

    def ready(self, answer: ReadyAnswer) -> None:
        """An ensemble holds a graph now that was running already, or says why not."""
        state = self._deployments.graphs.get(answer.graph)
        waits_for = self._preparing.get(answer.graph, set())
        if state is None or answer.ensemble not in waits_for:
            return
        waits_for.discard(answer.ensemble)
        if answer.problem is not None:
            self._refuse(state, answer.ensemble, [sq.name for sq in state.graph.sqs], answer.problem)
            return
        state.hosts.append(answer.ensemble)
        for number in sorted(state.live):
            self._deployments.start_on(answer.ensemble, state.live[number])
        self._tell(state)
        self._go_on()

    def placed(self, answer: Placed) -> None:
        """SQs have come to an ensemble (or it is ready for them to come), or cannot."""
        state = self._deployments.graphs.get(answer.graph)
        if state is None:
            return
        if answer.problem is not None:
            self._refuse(state, answer.ensemble, answer.sqs, answer.problem)
            return
        move = self._moves.get(answer.graph)
        if move is not None:
            if answer.expected != move.handed:
                move.waits_for.discard(answer.ensemble)
            for number, counts in answer.sent.items():
                sent = move.sent.setdefault(number, {})
                sent.update({arc: max(count, sent.get(arc, 0)) for arc, count in counts.items()})
            self._go_on()

    def handed(self, handed: Handed) -> None:
        """An ensemble has ended the SQs it was to hand over."""
        state, move = self._deployments.graphs.get(handed.graph), self._moves.get(handed.graph)
        if state is None or move is None or move.source != handed.ensemble or move.handed:
            return
        move.handed = True
        nowhere = [sq for sq, to in move.to.items() if not to]
        state.host_of.update(move.to)
        for sq in nowhere:
            del move.to[sq]
        move.waits_for = set(move.to.values())
        self._arriving.setdefault(handed.graph, set()).update(move.to)
        self._states[handed.graph] = handed.states
        for number, states in handed.states.items():
            self.checkpoints.setdefault((handed.graph, number), {}).update(states)
        self._say_left_out(handed.graph, handed.left_out)
        self._settle(state, True)
        self._go_on()

    def settled(self, graph: str, context: int, now: int) -> bool:
        """Whether a context whose ensembles are all idle at root tick `now` is done: nothing is to go on elsewhere."""
        state = self._deployments.graphs[graph]
        until = state.live[context].until if context in state.live else now
        if until is not None and until <= now:
            return True
        under_way = graph in self._moves or graph in self._arriving or bool(self._preparing.get(graph))
        return not under_way and all(state.host_of.values())

    def ended(self, graph: str, context: int) -> None:
        """A context is done: it is resumed nowhere any more."""
        state = self._deployments.graphs.get(graph)
        if state is not None:
            state.live.pop(context, None)
        self.checkpoints.pop((graph, context), None)

    def forget(self, graph: str) -> None:
        """A graph was stopped."""
        for key in [key for key in self.checkpoints if key[0] == graph]:
            del self.checkpoints[key]
        for ensemble, held in self._away.items():
            if graph in held:
                held.remove(graph)
                self._stopped.setdefault(ensemble, set()).add(graph)
        self._left.pop(graph, None)
        self.told.pop(graph, None)
        self._arriving.pop(graph, None)
        self._states.pop(graph, None)
        self._preparing.pop(graph, None)
        self._moves.pop(graph, None)
        self._alone = {key: sqs for key, sqs in self._alone.items() if key[0] != graph}
        self._refused = {entry for entry in self._refused if entry[0] != graph}
        self._go_on()

    def deployed(self, state: GraphState) -> None:
        """A graph is ready: tell its ensembles which of its SQs nobody else may host."""
        if self._alone_changed(state):
            self._tell(state)

    def alone(self, state: GraphState) -> dict[str, list[str]]:
        """By ensemble, the SQs that live there and that no other ensemble may host."""
        graph, needs = state.graph.name, modules_of(state.graph)
        hosts = self._hosts(state)
        found: dict[str, list[str]] = {}
        others: dict[tuple[str, ...], set[str]] = {}  # what a group wants to who may host it: two tell enough
        for group in groups(state.graph):
            host = state.host_of[group[0].name]
            wants = (*(wants_text(sq, needs) for sq in group), *(sq.name for sq in group if self._refused))
            if wants not in others:
                may = (e.name for e in hosts if self._may_host(graph, group, e, needs))
                others[wants] = set(islice(may, 2))
            if host and not others[wants] - {host}:
                found.setdefault(host, []).extend(sq.name for sq in group)
        return found

    def _may_host(
        self, graph: str, group: list[TTSQ], ensemble: EnsembleInfo, needs: Mapping[str, frozenset[str]]
    ) -> bool:
        return all(
            why_not(sq, ensemble, needs[sq.name]) is None and (graph, sq.name, ensemble.name) not in self._refused
            for sq in group
        )

    # The steps.

    def _settle(self, state: GraphState, tell: bool = False) -> None:
        """Place what waits and fits somewhere, and tell everybody if something changed."""
        graph = state.graph.name
        waiting = [sq for sq, host in state.host_of.items() if not host]
        placed: dict[str, str] = {}
        if waiting and not self.isolated:
            placed = self._find(state, waiting)
        left = self._left.get(graph, {})
        for sq, host in placed.items():
            state.host_of[sq] = host
            state.generations[sq] = state.generations.get(sq, 0) + 1
            left.pop(sq, None)
        if placed:
            self._arriving.setdefault(graph, set()).update(placed)
            self._ways.event(f"graph {graph!r}: {_goes(placed)}")
        stuck = [sq for sq in waiting if sq not in placed]
        if stuck and tell:
            needs = modules_of(state.graph)
            what = "; ".join(f"{sq} wants {wants_text(state.graph.sq(sq), needs)}" for sq in stuck[:8])
            more = f"; and {len(stuck) - 8} more" if len(stuck) > 8 else ""
            self._ways.event(f"graph {graph!r} waits for an ensemble that fits: {what}{more}")
        self._prepare(state, set(placed.values()))
        if tell or placed or self._alone_changed(state):
            self._tell(state)

    def _prepare(self, state: GraphState, hosts: set[str]) -> None:
        """Send the graph to those that do not hold it yet; they host nothing of it before they are told so."""
        graph = state.graph.name
        waits_for = self._preparing.setdefault(graph, set())
        nowhere = dict.fromkeys(state.host_of, "")
        for host in sorted(hosts - set(state.hosts) - waits_for):
            waits_for.add(host)
            self._deployments.send(host, Deployment(state.graph, nowhere, dict(state.generations)))

    def _tell(self, state: GraphState) -> None:
        """Tell every ensemble where the SQs are now, once those that are new hold the graph."""
        graph = state.graph.name
        if self._preparing.get(graph):
            return
        # To who may only be cut off is sent on, so that it misses nothing if it comes back.
        left = self._left.get(graph, {})
        host_of = {sq: host or left.get(sq, "") for sq, host in state.host_of.items()}
        arriving = self._arriving.pop(graph, set())
        handed = self._states.pop(graph, {})
        self.told[graph] = self.told.get(graph, 0) + 1
        found = self.alone(state)
        for host in state.hosts:
            come = [sq for sq in arriving if state.host_of[sq] == host]
            states: dict[int, dict[str, InstanceState]] = {}
            for number in state.live if come else ():
                known = {**self.checkpoints.get((graph, number), {}), **handed.get(number, {})}
                states[number] = {sq: known[sq] for sq in come if sq in known}
            alone = self._alone[graph, host] = found.get(host, [])
            self._ways.place(host, Placement(graph, host_of, dict(state.generations), states, alone))

    def _alone_changed(self, state: GraphState) -> bool:
        graph = state.graph.name
        found = self.alone(state)
        return any(found.get(host, []) != self._alone.get((graph, host), []) for host in state.hosts)

    def _go_on(self) -> None:
        """Take every drain as far as it goes now."""
        for graph, move in list(self._moves.items()):
            if self._preparing.get(graph):
                continue
            if not move.expected:
                move.expected = True
                for host in sorted(set(move.to.values())):
                    self._ways.expect(host, Expect(graph, [sq for sq, to in move.to.items() if to == host]))
            elif not move.waits_for and not move.ordered:
                move.ordered = True
                self._ways.hand_over(move.source, HandOver(graph, dict(move.to), move.sent))
            elif move.handed and not move.waits_for:
                del self._moves[graph]
                if move.to:
                    self._ways.event(f"graph {graph!r}: {_goes(move.to)}")
        for name in list(self.draining):
            if not any(move.source == name for move in self._moves.values()):
                done = self.draining.pop(name)
                self._ways.dismiss(name)
                done(None)

    def _give_up_move(self, graph: str, move: _Move, lost: str, problem: str = "") -> None:
        """An ensemble that took part in a move has died, or cannot: what has not left yet stays."""
        drained = self.draining.pop(move.source, None)
        if drained is not None:
            drained(problem or f"{lost!r} died while {move.source!r} was drained: drain it again")
        state = self._deployments.graphs[graph]
        if lost == move.source and move.ordered and not move.handed:
            # Should it come back, it has ended them: they begin there anew.
            for sq in move.to:
                state.generations[sq] = state.generations.get(sq, 0) + 1
        if lost != move.source and move.ordered and not move.handed:
            # What it was to take leaves its ensemble all the same: then it is placed anew, with what it goes on with.
            move.to.update({sq: "" for sq, to in move.to.items() if to == lost})
            move.waits_for.discard(lost)
            return
        del self._moves[graph]
        for host in sorted(set(move.to.values()) - {lost}) if move.expected and not move.handed else ():
            self._ways.expect(host, Expect(graph, []))

    def _refuse(self, state: GraphState, ensemble: str, sqs: list[str], problem: str) -> None:
        """SQs cannot live on an ensemble: their code does not run there. They go elsewhere, or wait."""
        graph = state.graph.name
        self._refused.update((graph, sq, ensemble) for sq in sqs)
        self._ways.event(f"graph {graph!r} cannot go on on {ensemble!r}: {problem}")
        move = self._moves.get(graph)
        if move is not None and ensemble in move.to.values() and not move.handed:
            why = f"{move.source!r} is not drained: {ensemble!r} cannot take its work: {problem}"
            self._give_up_move(graph, move, ensemble, why)
        mine = [sq for sq in sqs if state.host_of.get(sq) == ensemble]
        state.host_of.update(dict.fromkeys(mine, ""))
        self._settle(state, bool(mine))
        self._go_on()

    def _find(self, state: GraphState, sqs: list[str], without: str = "") -> dict[str, str]:
        """Ensembles for SQs, as far as there are any that fit."""
        graph, mapper = state.graph.name, TTMapper(self._hosts(state, without))
        return mapper.place(
            state.graph, state.host_of, sqs, lambda sq, name: (graph, sq, name) in self._refused, state.weights
        )

    def _hosts(self, state: GraphState, without: str = "") -> list[EnsembleInfo]:
        """Those that may be given SQs of a graph, in the order in which they are tried."""
        out = {without, *self.draining}
        if state.weights is not None and self._registry.manager.name not in state.weights.speeds:
            # A deployment file that leaves the manager's own ensemble out means it to host nothing.
            out.add(self._registry.manager.name)
        return [ensemble for ensemble in self._registry.all() if ensemble.name not in out]

    def _running(self) -> list[GraphState]:
        return [state for state in self._deployments.graphs.values() if state.state in ("ready", "running")]

    def _say_left_out(self, graph: str, left_out: list[str]) -> None:
        for text in left_out:
            line = f"graph {graph!r}: {text} has no codec, so it is not in the checkpoints (see register_codec)"
            if line not in self._said:
                self._said.add(line)
                self._ways.event(f"warning: {line}")


def _goes(placed: dict[str, str]) -> str:
    by_host: dict[str, list[str]] = {}
    for sq, host in placed.items():
        by_host.setdefault(host, []).append(sq)
    parts = []
    for host, sqs in by_host.items():
        more = f" and {len(sqs) - 8} more" if len(sqs) > 8 else ""
        parts.append(f"{', '.join(sqs[:8])}{more} {'goes' if len(sqs) == 1 else 'go'} on on {host!r}")
    return "; ".join(parts)
