"""Healing: SQs find another ensemble when theirs dies, is drained or comes back, while their graphs run.

After a loss the mapper places the SQs that lived there, each under a new generation; the others stay where they are.
An SQ that no other could host stays where it was until that ensemble is known to have ended, for one that is only cut
off goes on with it. An ensemble that does not hold the graph yet is sent it first. Then every ensemble is told the new
placement, and the successors are given their checkpoints.

In a drain the hosts of the graph first say that they know the successors' ensembles. These prepare, and keep the tokens
that arrive. Then the drained ensemble hands over, and the same placement goes out without a new generation, so nothing
is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice

import msgspec

from ticktalk.errors import TTRuntimeError
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.checkpoints import WARNED, parts_of_contexts
from ticktalk.manager.driver import Send, Tell
from ticktalk.manager.events import CannotGoOn, LeftOut, Moved, Stays, Waits
from ticktalk.manager.state import GraphState, LostEnsemble, ManagerState, MoveState
from ticktalk.mapping.ensembles import EnsembleInfo, Hosts
from ticktalk.mapping.mapper import TTMapper, groups, modules_of, together, wants_text
from ticktalk.messages import ExecuteMsg, NetMsg, SyncMsg
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
    StartContext,
    StopGraph,
)
from ticktalk.ranges import known
from ticktalk.source_problems import no_such

DISMISSED = "it was drained: nothing lives here any more"
"""The reason with which an ensemble that was drained ends."""


class Heal:
    """Places SQs of the running graphs elsewhere.

    Args:
        state: all that the manager knows.
        starts: the messages that started contexts, by context.
        send: how ensembles are reached.
        tell: how people are.
        one_table: see `Driver.one_table`.
    """

    def __init__(
        self, state: ManagerState, starts: Mapping[int, StartContext], send: Send, tell: Tell, one_table: bool = False
    ) -> None:
        self._one_table = one_table
        self._state = state
        self._starts = starts
        self._send = send
        self._tell = tell
        self._drained: dict[str, Callable[[str | None], None]] = {}  # by ensemble: told the problem, or None at the end

    # Ensembles come and go.

    def lost(self, name: str) -> None:
        """An ensemble is dead, or cut off: its SQs go elsewhere."""
        died = f"{name!r} died while it was drained; what lived there goes on elsewhere from its last checkpoint"
        self._end_drain(name, died if name in self._state.draining else None)
        for state in self._state.running():
            self._lost_for(state, name)
        self._go_on()

    def _lost_for(self, state: GraphState, name: str) -> None:
        lost = self._state.lost.get(name)
        if state.move is not None and (name == state.move.source or name in state.move.to.values()):
            self._give_up_move(state, state.move, name)
        elif state.move is not None:
            state.move.waits_for.discard(name)
        mine = state.sqs_on(name)
        if name in state.hosts:
            state.hosts.remove(name)
            if lost is not None:
                lost.holds.add(state.name)
        alone = {*state.alone.pop(name, ()), *chain(*state.alone_before.pop(name, {}).values())}
        if lost is not None and alone & {*mine}:
            lost.keeps[state.name] = sorted(alone & {*mine})
        state.left.update(dict.fromkeys(mine, name))
        state.go(dict.fromkeys(mine, ""))
        if name in state.preparing:
            state.preparing.remove(name)
            if lost is not None:
                lost.stopped.add(state.name)  # its answer may have come to a manager that died
        self._settle(state, bool(mine))

    def joined(self, name: str) -> None:
        """An ensemble has started and joined: it takes work that waits, and nothing else."""
        for state in self._state.graphs.values():
            state.refused = {entry for entry in state.refused if entry[1] != name}
        self.place_waiting()

    def back(self, name: str, lost: LostEnsemble) -> None:
        """An ensemble that was cut off is reached again, as it was: it keeps the SQs that were not placed elsewhere."""
        for graph in sorted(self._state.to_forget(name, lost)):
            self._send(name, SyncMsg.STOP, StopGraph(graph))
        for state in self._state.running():
            held = state.name in lost.holds
            if held:
                for sq in [sq for sq, host in state.left.items() if host == name]:
                    del state.left[sq]
                    state.host_of[sq] = name
                    # It may have been cut off before it was told of SQs placed there: it says itself which are new.
                    state.arriving.add(sq)
                state.alone[name] = lost.keeps.get(state.name, [])  # as it knows it, until it hears of more
                self._hold(state, name)
            self._settle(state, held)
            if held and state.preparing:
                self._tell_placement(state, name)  # it goes on now, with what is still its own
        for graph in sorted(lost.goes_on.keys() & self._state.graphs.keys()):
            self._send(name, SyncMsg.SWITCH, lost.goes_on[graph])  # after it was told what went elsewhere

    def place_waiting(self, held_by: str = "") -> None:
        """Place the SQs that wait and fit somewhere now; `held_by`: one that surely holds its own now."""
        for state in self._state.running():
            self._settle(state, held_by in state.left.values())

    def drain(self, name: str, done: Callable[[str | None], None]) -> None:
        """Move all that lives on an ensemble, losing nothing, then let it go.

        Raises:
            TTRuntimeError: there is no such ensemble, or something may live nowhere else.
        """
        if name == self._state.manager.name:
            raise TTRuntimeError(f"{name!r} is the manager's own ensemble: it cannot be drained")
        if name in self._state.lost:
            raise TTRuntimeError(f"{name!r} is not heard now: try again when it is back")
        if name not in self._state.ensembles:
            raise TTRuntimeError(no_such(f"there is no ensemble {name!r}", name, "joined", self._state.ensembles))
        if name in {*self._state.draining, *self._state.dismissed}:
            raise TTRuntimeError(f"{name!r} is being drained already")
        if self._state.replacements:
            replaced = next(iter(self._state.replacements))
            raise TTRuntimeError(f"graph {replaced!r} is being replaced, and watched: try again when that is done")
        for state in self._state.graphs.values():
            if state.state == "preparing" and name in state.hosts:
                raise TTRuntimeError(f"graph {state.title!r} is being prepared on {name!r}: try again")
        moves: dict[str, dict[str, str]] = {}
        stay = []
        for state in self._state.running():
            mine = state.sqs_on(name)
            if state.move is not None and (mine or name in state.move.to.values()):
                raise TTRuntimeError(f"graph {state.title!r} is on the move from {state.move.source!r}: try again")
            to = self._find(state, mine, without=name)
            needs = modules_of(state.graph)
            stay += [
                f"{sq} of graph {state.title!r} (wants {wants_text(state.graph.sq(sq), needs)})"
                for sq in mine
                if sq not in to
            ]
            if to:
                moves[state.name] = to
        if stay:
            raise TTRuntimeError(
                f"{name!r} cannot be drained, because no other ensemble may host\n  "
                + "\n  ".join(stay)
                + "\n  let an ensemble join that fits, or stop the graph"
            )
        self._state.draining.append(name)
        self._drained[name] = done
        for graph, to in moves.items():
            state = self._state.graphs[graph]
            asked = [] if self._one_table else list(state.hosts)
            state.told += 1
            state.move = MoveState(name, to, set(asked), state.told)
            for host in asked:
                self._send(host, SyncMsg.EXPECT, Expect(graph, [], state.told))  # after it was told of all who joined
            self._prepare(state, set(to.values()))
        self._go_on()

    # Answers of ensembles.

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the state of instances, if they live on the ensemble that sent it."""
        state = self._state.graphs.get(checkpoint.graph)
        context = state.contexts.get(checkpoint.context) if state is not None else None
        if state is None or context is None or context.ended:
            return
        known(checkpoint.states, state.host_of, f"SQs of graph {state.name!r}, in a checkpoint,")
        for sq, saved in checkpoint.states.items():
            current = state.generations.get(sq, 0) == checkpoint.generations.get(sq, 0)
            if state.host_of.get(sq) == checkpoint.ensemble and current:
                context.checkpoints[sq] = saved
        self._say_left_out(state, checkpoint.left_out)

    def ready(self, answer: ReadyAnswer) -> None:
        """An ensemble holds a graph now that was running already, or says why not."""
        state = self._state.graphs.get(answer.graph)
        if state is None or answer.ensemble not in {*state.preparing, *state.hosts}:
            # The graph was stopped meanwhile, or goes on without it: nothing of it stays there.
            self._send(answer.ensemble, SyncMsg.STOP, StopGraph(answer.graph))
            return
        if answer.ensemble not in state.preparing:
            return  # it is deployed
        state.preparing.discard(answer.ensemble)
        if answer.problem is not None:
            self._refuse(state, answer.ensemble, [sq.name for sq in state.graph.sqs], answer.problem)
            return
        self._hold(state, answer.ensemble)
        self._tell_placement(state)
        self._go_on()

    def placed(self, answer: Placed) -> None:
        """SQs have come to an ensemble (or it is ready for them to come), or cannot."""
        state = self._state.graphs.get(answer.graph)
        if state is None:
            return
        known(answer.sqs, state.host_of, f"SQs of graph {state.name!r}")
        known([answer.ensemble], [info.name for info in self._state.infos()], "ensembles")
        arcs = {arc.rpartition("/")[0] for counts in answer.sent.values() for arc in counts}
        known(arcs, state.host_of, f"SQs of graph {state.name!r}")
        before = state.alone_before.get(answer.ensemble, {})
        state.alone_before[answer.ensemble] = {told: sqs for told, sqs in before.items() if told > answer.told}
        if answer.problem is not None:
            self._refuse(state, answer.ensemble, answer.sqs, answer.problem)
            return
        if (move := state.move) is not None:
            latest = move.handed or answer.told == move.told
            if latest and answer.expected != move.handed and bool(answer.sqs) == move.expected:
                move.waits_for.discard(answer.ensemble)
            for number, counts in answer.sent.items():
                sent = move.sent.setdefault(number, {})
                sent.update({arc: max(count, sent.get(arc, 0)) for arc, count in counts.items()})
            self._go_on()

    def handed(self, handed: Handed) -> None:
        """An ensemble has ended the SQs it was to hand over."""
        state = self._state.graphs.get(handed.graph)
        move = state.move if state is not None else None
        if state is None or move is None or move.source != handed.ensemble or move.handed:
            return
        for states in handed.states.values():
            known(states, move.to, f"SQs of graph {state.name!r} that were to move and")
        if handed.problem is not None:
            move.ordered = False  # nothing has left
            self._give_up_move(state, move, "", f"{move.source!r} is not drained: {handed.problem}")
            self._go_on()
            return
        goes_on = {context.number: context for context in state.live}  # ensembles hold those that have ended, too
        for number, states in handed.states.items():
            if number in goes_on:
                move.states.setdefault(number, {}).update(states)
                goes_on[number].completion.gave_away(move.source, states.values())
        self._say_left_out(state, handed.left_out)
        if handed.more:
            return
        move.handed = True
        state.go(move.to)
        move.to = {sq: to for sq, to in move.to.items() if to}
        move.waits_for = set(move.to.values())
        state.arriving.update(move.to)
        state.handed = move.states
        for number, states in move.states.items():
            if number in goes_on:
                goes_on[number].checkpoints.update(states)
        self._settle(state, True)
        self._go_on()

    # For the rest of the manager.

    def settled(self, state: GraphState, until: int | None, now: int) -> bool:
        """True if a context whose ensembles are all idle at root tick `now` is done: no SQ is still to go on elsewhere.

        `until`: the tick from which on no stream of it fires.
        """
        if state.state != "running":
            return False  # it is replaced, or to replace another
        if until is not None and until <= now:
            return True
        under_way = state.move is not None or state.arriving or state.preparing
        return not under_way and all(state.host_of.values())

    def forget(self, state: GraphState) -> None:
        """A graph was stopped, and its state is gone."""
        for name, lost in self._state.lost.items():
            lost.keeps.pop(state.name, None)
            if state.name in lost.holds or name in state.hosts:
                lost.holds.discard(state.name)
                lost.stopped.add(state.name)
        self._go_on()

    def deployed(self, state: GraphState) -> None:
        """A graph is ready: tell its ensembles which of their SQs no other ensemble may host.

        An ensemble that had prepared it may have gone since, while others still did.
        """
        here = {info.name for info in self._state.infos()} & {*state.hosts}
        for name in sorted({*state.hosts, *state.host_of.values()} - {*here, ""}):
            self._lost_for(state, name)
        if self._alone_changed(state):
            self._tell_placement(state)

    def alone(self, state: GraphState) -> dict[str, list[str]]:
        """By ensemble, the SQs that live there and that no other ensemble may host."""
        needs = modules_of(state.graph)
        hosts = Hosts(self._hosts(state))
        found: dict[str, list[str]] = {}
        others: dict[tuple[str, ...], set[str]] = {}  # wants of a group to two of its possible hosts
        for group in groups(state.graph):
            host = state.host_of[group[0].name]
            wants = (*(wants_text(sq, needs) for sq in group), *(sq.name for sq in group if state.refused))
            if wants not in others:
                may = (ensemble.name for ensemble in together(group, hosts, needs))
                others[wants] = set(islice((n for n in may if not self._refused(state, group, n)), 2))
            if host and not others[wants] - {host}:
                found.setdefault(host, []).extend(sq.name for sq in group)
        return found

    # The steps.

    def _settle(self, state: GraphState, tell: bool = False) -> None:
        """Place the SQs that wait and fit somewhere; tell every ensemble if something changed."""
        kept, undecided = self._kept_where_they_were(state), self._state.undecided(state)
        waiting = [sq for sq, host in state.host_of.items() if not host and sq not in undecided]
        free = [] if self._state.awaited else [sq for sq in waiting if sq not in kept]
        placed = self._find(state, free) if free else {}
        _renew(state, placed)
        state.place_anew(placed)
        if placed:
            state.arriving.update(placed)
            self._tell(Moved(state.title, placed))
        stuck = [sq for sq in waiting if sq not in placed]
        if stuck and tell and not self._state.awaited:
            needs = modules_of(state.graph)
            self._tell(Waits(state.title, {sq: wants_text(state.graph.sq(sq), needs) for sq in stuck}))
        self._prepare(state, set(placed.values()))
        if tell or placed or self._alone_changed(state):
            self._tell_placement(state)

    def _kept_where_they_were(self, state: GraphState) -> set[str]:
        """The SQs with which ensembles go on that may only be cut off; it is told if they could go on elsewhere."""
        kept: set[str] = set()
        for name, lost in self._state.lost.items():
            mine = lost.keeps.get(state.name, [])
            kept.update(mine)
            decided = lost.holds_since is not None and not self._state.awaited
            if mine and state.name not in lost.warned and decided and (fit := self._find(state, mine)):
                lost.warned.add(state.name)
                self._tell(Stays(state.title, name, sorted(fit)))
        return kept

    def _prepare(self, state: GraphState, hosts: set[str]) -> None:
        """Send the graph to ensembles that do not hold it yet; they host nothing of it before a placement says so."""
        nowhere = dict.fromkeys(state.host_of, "")
        for host in sorted(hosts - set(state.hosts) - state.preparing):
            state.preparing.add(host)
            self._send(host, ExecuteMsg.INSTANTIATE, Deployment(state.graph, nowhere, dict(state.generations)))

    def _hold(self, state: GraphState, ensemble: str) -> None:
        """An ensemble holds a graph now: it is told of the contexts that go on, and ignores the ones it has."""
        state.hosts.append(ensemble)
        for context in state.live:
            self._send(ensemble, SyncMsg.START, self._starts[context.number])

    def _tell_placement(self, state: GraphState, only: str = "") -> None:
        """Tell every ensemble where the SQs are now, once the new ones hold the graph; `only`: this one now."""
        if state.preparing and not only:
            return
        # Senders go on sending to an ensemble that may only be cut off, so that it misses nothing if it comes back.
        host_of = {sq: host or state.left.get(sq, "") for sq, host in state.host_of.items()}
        arriving, handed = state.arriving, state.handed
        if not only:
            state.arriving, state.handed = set(), {}
        state.told += 1
        found = self.alone(state)
        for host in [only] if only else state.hosts:
            come = [sq for sq in arriving if state.host_of[sq] == host]
            states: dict[int, dict[str, InstanceState]] = {}
            for context in state.live if come else ():
                saved = {**context.checkpoints, **handed.get(context.number, {})}
                states[context.number] = {sq: saved[sq] for sq in come if sq in saved}
            before, alone = state.alone.get(host, []), found.get(host, [])
            state.alone[host] = alone
            told = 0 if {*before} <= {*alone} else state.told
            if told:
                state.alone_before.setdefault(host, {})[told] = before
            self.place(host, Placement(state.name, host_of, dict(state.generations), states, alone, told=told))

    def place(self, host: str, placement: Placement) -> None:
        """Send an ensemble a placement, in parts if it has many states."""
        *before, last = parts_of_contexts(placement.states)
        for part in before:
            self._send(host, SyncMsg.PLACE, msgspec.structs.replace(placement, states=part, more=True))
        self._send(host, SyncMsg.PLACE, msgspec.structs.replace(placement, states=last))

    def _alone_changed(self, state: GraphState) -> bool:
        found = self.alone(state)
        return any(found.get(host, []) != state.alone.get(host, []) for host in state.hosts)

    def _go_on(self) -> None:
        """Take every drain as far as it goes now."""
        for state in list(self._state.graphs.values()):
            move = state.move
            if move is None or state.preparing:
                continue
            if not move.expected and not move.waits_for:
                move.expected = True
                move.waits_for = set(move.to.values())
                for host in sorted(move.waits_for):
                    come = [sq for sq, to in move.to.items() if to == host]
                    self._send(host, SyncMsg.EXPECT, Expect(state.name, come, move.told))
            elif move.expected and not move.waits_for and not move.ordered:
                move.ordered = True
                self._send(move.source, SyncMsg.HAND_OVER, HandOver(state.name, dict(move.to), move.sent))
            elif move.handed and not move.waits_for:
                state.move = None
                if move.to:
                    self._tell(Moved(state.title, move.to))
        sources = {state.move.source for state in self._state.graphs.values() if state.move is not None}
        for name in [name for name in self._state.draining if name not in sources]:
            self._send(name, NetMsg.SHUT_DOWN, DISMISSED)
            self._state.draining.remove(name)
            self._state.dismissed.append(name)  # the drain ends when it has left

    def _end_drain(self, name: str, problem: str | None) -> None:
        if name in self._state.draining:
            self._state.draining.remove(name)
        if name in self._drained:
            self._drained.pop(name)(problem)

    def _give_up_move(self, state: GraphState, move: MoveState, lost: str, problem: str = "") -> None:
        """An ensemble that took part in a move has died, or cannot take its part: SQs that have not left stay."""
        self._end_drain(move.source, problem or f"{lost!r} died while {move.source!r} was drained: drain it again")
        if lost == move.source and move.ordered and not move.handed:
            # Should it come back, it has ended them: they begin there anew.
            _renew(state, move.to)
        if lost != move.source and move.ordered and not move.handed:
            # The SQs it was to take leave their ensemble all the same: then they are placed anew, with their states.
            move.to.update({sq: "" for sq, to in move.to.items() if to == lost})
            move.waits_for.discard(lost)
            return
        state.move = None
        for host in sorted(set(move.to.values()) - {lost}) if move.expected and not move.handed else ():
            self._send(host, SyncMsg.EXPECT, Expect(state.name, []))

    def _refuse(self, state: GraphState, ensemble: str, sqs: list[str], problem: str) -> None:
        """SQs cannot live on an ensemble: their code does not run there. They go elsewhere, or wait."""
        state.refused.update((sq, ensemble) for sq in sqs)
        self._tell(CannotGoOn(state.title, ensemble, problem))
        move = state.move
        if move is not None and ensemble in move.to.values() and not move.handed:
            why = f"{move.source!r} is not drained: {ensemble!r} cannot take its work: {problem}"
            self._give_up_move(state, move, ensemble, why)
        mine = [sq for sq in sqs if state.host_of.get(sq) == ensemble]
        state.go(dict.fromkeys(mine, ""))
        self._settle(state, bool(mine))
        self._go_on()

    def _find(self, state: GraphState, sqs: list[str], without: str = "") -> dict[str, str]:
        """Ensembles for SQs, as far as there are any that fit."""
        mapper = TTMapper(self._hosts(state, without))
        return mapper.place(
            state.graph, state.host_of, sqs, lambda sq, name: (sq, name) in state.refused, state.weights
        )

    def _refused(self, state: GraphState, group: list[TTSQ], ensemble: str) -> bool:
        """True if the code of some SQ of a group does not run on an ensemble."""
        return any((sq.name, ensemble) in state.refused for sq in group)

    def _hosts(self, state: GraphState, without: str = "") -> list[EnsembleInfo]:
        """The ensembles that may be given SQs of a graph, in the order of trial."""
        own = self._state.manager.name
        out = {without, *self._state.draining, *self._state.dismissed}
        if state.weights is not None and own not in state.weights.speeds:
            out.add(own)  # a deployment file that leaves the manager's own ensemble out means it to host nothing
        return [info for info in self._state.infos() if info.name not in out]

    def _say_left_out(self, state: GraphState, left_out: list[str]) -> None:
        for what in left_out:
            if what not in state.warned and len(state.warned) < WARNED:
                state.warned.add(what)
                self._tell(LeftOut(state.title, what))


def _renew(state: GraphState, sqs: Iterable[str]) -> None:
    """Give SQs a new generation: their tokens are counted anew, so numbers that instances took of them say nothing."""
    renewed = set(sqs)
    for sq in renewed:
        state.generations[sq] = state.generations.get(sq, 0) + 1
    kept = [context.checkpoints for context in state.contexts.values()]
    for table in (*kept, *state.handed.values()) if renewed else ():
        for name, saved in table.items():
            if any(arc.rpartition("/")[0] in renewed for arc in saved.received):
                received = {a: n for a, n in saved.received.items() if a.rpartition("/")[0] not in renewed}
                table[name] = msgspec.structs.replace(saved, received=received)
