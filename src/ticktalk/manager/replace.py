"""Replacement: a graph goes on as another version of itself, while it runs.

Both versions are there beside each other, under two names, so their tokens never meet. The new one goes on with copies
of the old one's states, from one tick on:

1. The new version is prepared on its ensembles, and its SQs are expected there (`expect`). Until then nothing changes.
2. From one tick on, on all ensembles, the streams of the old version are held. Their tokens from before go their way
   to the end (`drain`). Then all of it is held (`hold`), and its states are copied (`hand`).
3. States and waiting tokens are taken over by name (`carried_state`). Ensembles try whether values fit (`try`). Then
   the SQs of the new version come with them (`place`), and its streams run the instants since that tick, late.
4. While the new version is watched (`watch`), the old one stays where it is, held. If the new one fails, its streams
   are held at one tick in the same way, and the old one goes on from that tick (`back`).

So what fails before the new version has begun has no effect but that instants of the old one are run late. That holds
for the manager's death, too: its ensembles hold all of the old version. From `place` on the new one goes on. That is
written, with its states, before an ensemble hears of it. So the next manager tells those that have not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

import msgspec

from ticktalk.durations import about
from ticktalk.errors import TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.manager import coming_to_rest as rest
from ticktalk.manager.carried_state import carry, values_by_host
from ticktalk.manager.deploy import Deploy, check_inputs
from ticktalk.manager.driver import Driver, Send, Tell
from ticktalk.manager.events import NotReplaced, Replaced, RolledBack
from ticktalk.manager.heal import Heal
from ticktalk.manager.reports import Reports
from ticktalk.manager.state import GraphState, ManagerState, ReplaceState
from ticktalk.manager.versions import compare, hosts, refusals, version, why_failed, why_not
from ticktalk.messages import SyncMsg
from ticktalk.payloads import Expect, Firings, Handed, HandOver, InstanceState, Placed, Placement
from ticktalk.ranges import known
from ticktalk.records import TookOver
from ticktalk.replacement import REST_LIMIT, ReplaceRequest, Switch, Switched, TryStates, version_name

LOOK = 100_000
"""Ticks between two looks at a new version that is watched."""


class Replace:
    """The replacements of one system.

    Args:
        state: all that the manager knows.
        send: how ensembles are reached.
        tell: how people are.
        driver: hosts the manager.
        heal: places SQs.
        deploy: prepares and ends graphs.
        reports: counts errors.
    """

    def __init__(
        self, state: ManagerState, send: Send, tell: Tell, driver: Driver, heal: Heal, deploy: Deploy, reports: Reports
    ) -> None:
        self._state, self._send, self._tell, self._driver = state, send, tell, driver
        self._heal, self._deploy, self._reports = heal, deploy, reports
        self._replies: dict[str, Future[Any]] = {}  # by what people call the graph
        deploy.stopped = self._stopped

    # The request.

    def replace(self, request: ReplaceRequest, later: Future[Any]) -> None:
        """Replace a graph; `later` gets the `Changes`, or the error: then the old version runs on.

        Raises:
            TTMappingError: some SQ cannot be placed.
            TTRuntimeError: there is no such graph, it cannot be replaced now, or something would be lost.
            TTInputError: a value for an input is missing, or for no input.
        """
        title = request.name or request.graph.name
        old = self._deploy.state_of(title)
        why = why_not(self._state, old, self._driver)
        if why is None and old.ends:
            why = f"graph {title!r} is being stopped"
        if why is not None:
            raise TTRuntimeError(why)
        graph = msgspec.structs.replace(request.graph, name=title)
        changes = compare(title, old.graph, graph)
        if lost := refusals(changes, old.graph, graph, request.drop_state):
            raise TTRuntimeError("\n  ".join((f"graph {title!r} is not replaced:", *lost)))
        for context in old.live:
            check_inputs(title, graph, self._inputs(old, graph, context.number, request.inputs))
        host_of = hosts(self._state, old, graph, request.mapping)
        name = version_name(title, self._state.versions_made + 2)
        new = version(old, msgspec.structs.replace(graph, name=name), host_of, changes)
        new.weights = request.weights or old.weights
        deployed: Future[Any] = Future()
        self._deploy.prepare(new, deployed)
        self._state.versions_made += 1
        replacement = ReplaceState(old.name, new.name, changes, request.drop_state, request.watch)
        self._state.replacements[title] = replacement
        self._replies[title] = later
        deployed.add_done_callback(partial(self._prepared, title, request.inputs))

    def _inputs(self, old: GraphState, graph: TTGraph, context: int, given: Mapping[str, Any]) -> dict[str, Any]:
        before = self._deploy.inputs(context)
        return {**{each.name: before[each.name] for each in graph.inputs if each.name in before}, **given}

    # Steps to the new version.

    def _prepared(self, title: str, inputs: Mapping[str, Any], deployed: Future[Any]) -> None:
        replacement = self._state.replacements.get(title)
        if replacement is None:
            return
        if (error := deployed.exception()) is not None:
            self._end(title, error)
            return
        old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
        new.state = "waiting"
        self._place(new, nowhere=True)
        for context in old.live:
            values = check_inputs(title, new.graph, self._inputs(old, new.graph, context.number, inputs))
            number = self._deploy.begin(new, context.start_tick, values, context.until)
            replacement.contexts[context.number] = number
        replacement.stage, replacement.waits_for = "expect", set(new.hosts)
        for host in new.hosts:
            self._send(host, SyncMsg.EXPECT, Expect(new.name, new.sqs_on(host)))

    def _switch(self, replacement: ReplaceState, leaving: GraphState, stage: str, limit: int) -> None:
        """Hold the streams of a version at one tick, and ask when it has come to rest."""
        now, leaving.goes_on = self._driver.now(), None
        at = now + rest.AHEAD * (self._driver.start_tick() - now)
        replacement.changes.at = at
        rest.begin(replacement, leaving, stage, at + limit)
        if at > now:
            for host in self._alive(leaving):
                self._send(host, SyncMsg.SWITCH, Switch(leaving.name, at))
            self._later(at - now, replacement, self._ask)
        else:
            self._ask(replacement)

    def _ask(self, replacement: ReplaceState) -> None:
        leaving = self._leaving(replacement)
        hosts = sorted(self._alive(leaving))
        order = rest.question(replacement, leaving, hosts, self._driver.now())
        for host in hosts:
            self._send(host, SyncMsg.SWITCH, order)
        if not hosts:  # all that held it have gone
            self._at_rest(replacement)

    def switched(self, answer: Switched) -> None:
        """An ensemble says how a graph stands that is to come to rest."""
        replacement = self._state.replacement_of(answer.graph)
        if replacement is None or answer.round != replacement.round or replacement.stage not in rest.STAGES:
            return
        leaving = self._leaving(replacement)
        known([answer.ensemble], leaving.hosts, "ensembles that hold the graph and")
        known(answer.fired, leaving.host_of, f"SQs of graph {leaving.title!r}")
        for report in answer.reports:  # what it has counted counts, also if it ends now
            self._reports.count(report)
        rest.take(replacement, answer, leaving.contexts, self._driver.now())
        if not replacement.waits_for:
            self._at_rest(replacement)

    def _at_rest(self, replacement: ReplaceState) -> None:
        """All have answered a question: go on if the graph has come to rest, else ask again."""
        rests = rest.rests(replacement)
        if rests or self._driver.now() > replacement.limit:
            replacement.again = False
            if replacement.stage == "back":
                new = self._state.graphs[replacement.new]
                self._reports.recounted(new, self._unless_on(replacement, self._back))
            elif not rests:
                why = f"it did not come to rest within {about(REST_LIMIT)}: {rest.why_not(replacement)}"
                self._give_up(replacement, why)
            elif replacement.stage == "drain":
                replacement.stage = "hold"
                self._ask(replacement)
            else:
                self._hand(replacement)
        elif pause := rest.pause(replacement):
            self._later(pause, replacement, self._ask)
        else:
            self._ask(replacement)

    def _hand(self, replacement: ReplaceState) -> None:
        old = self._state.graphs[replacement.old]
        rest.note_sent(replacement)
        replacement.stage, replacement.waits_for = "hand", set(self._alive(old))
        for host in sorted(replacement.waits_for):
            sqs = dict.fromkeys(old.sqs_on(host), host)
            self._send(host, SyncMsg.HAND_OVER, HandOver(old.name, sqs, replacement.sent, stay=True))

    def handed(self, handed: Handed) -> bool:
        """An ensemble has sent the states of an old version; False: they are of no graph that is replaced."""
        replacement = self._state.replacement_of(handed.graph)
        if replacement is None or replacement.stage != "hand" or handed.ensemble not in replacement.waits_for:
            return False
        old = self._state.graphs[replacement.old]
        for number, states in handed.states.items():
            known(states, old.host_of, f"SQs of graph {old.title!r}")
            replacement.states.setdefault(number, {}).update(states)
        if handed.problem is not None:
            replacement.why = handed.problem
        if not handed.more:
            replacement.waits_for.discard(handed.ensemble)
            self._go_on(replacement)
        return True

    def _go_on(self, replacement: ReplaceState) -> None:
        """Take the next step, if no answer is waited for."""
        if not replacement.waits_for:
            steps = {"hand": self._handed, "try": self._tried, "place": self._came}
            steps[replacement.stage](replacement)

    def _handed(self, replacement: ReplaceState) -> None:
        """All states of the old version are here: see whether the new one can go on with them."""
        if replacement.why:
            self._give_up(replacement, replacement.why)
            return
        old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
        for context in old.live:
            context.checkpoints.update(replacement.states.get(context.number, {}))
        tries = values_by_host(self._carried(replacement, new).values(), new.host_of)
        replacement.stage, replacement.waits_for = "try", set(tries)
        for host, values in tries.items():
            self._send(host, SyncMsg.TRY, TryStates(new.name, values))
        self._go_on(replacement)

    def _carried(self, replacement: ReplaceState, new: GraphState) -> dict[int, dict[str, InstanceState]]:
        """By context of the new version, the states with which its SQs begin."""
        old = self._state.graphs[replacement.old]
        replacement.changes.dropped = {}
        return {
            number: carry(
                replacement.changes,
                old.graph,
                new.graph,
                replacement.states.get(before, {}),
                new.contexts[number].inputs,
                replacement.drop,
            )
            for before, number in replacement.contexts.items()
        }

    def placed(self, answer: Placed) -> bool:
        """SQs of a new version are expected, their states fit, they have come; False: they are of no new version."""
        replacement = self._state.replacement_of(answer.graph)
        if replacement is None or replacement.stage in ("watch", "back"):
            return False
        if answer.graph == replacement.old:  # its SQs were placed anew just before
            if answer.problem is not None and replacement.stage in rest.BEFORE:
                self._give_up(replacement, f"SQs of it cannot go on on {answer.ensemble!r}: {answer.problem}")
            return False
        if answer.ensemble not in replacement.waits_for:
            return True
        replacement.waits_for.discard(answer.ensemble)
        if answer.problem is not None:
            replacement.why = replacement.why or answer.problem
        if replacement.stage == "expect" and not replacement.waits_for:
            if replacement.why:
                self._give_up(replacement, replacement.why)
            else:
                self._switch(replacement, self._state.graphs[replacement.old], "drain", REST_LIMIT)
        elif replacement.stage in ("try", "place"):
            self._go_on(replacement)
        return True

    def _tried(self, replacement: ReplaceState) -> None:
        if replacement.why:
            self._give_up(replacement, replacement.why)
            return
        old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
        old.state, new.ends = "held", old.ends
        replacement.stage, replacement.waits_for = "place", set(new.host_of.values())
        carried = self._carried(replacement, new)
        for number, states in carried.items():
            new.contexts[number].checkpoints.update(states)  # until its ensembles have sent some
        self._place(new, carried)
        self._go_on(replacement)

    def _came(self, replacement: ReplaceState) -> None:
        changes, title = replacement.changes, replacement.changes.graph
        old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
        self._reports.look()
        replacement.erred = set(self._reports.errors(old))
        ticks = max((changes.at - context.start_tick for context in old.live), default=0)
        outputs = sum(context.output_count for context in old.live)
        replacement.before = outputs * replacement.watch / ticks if ticks > 0 else 0
        replacement.stage, replacement.limit = "watch", self._driver.now() + replacement.watch
        new.state = "running" if replacement.contexts else "ready"
        new.rows, new.rows_length = old.rows, old.rows_length
        old.rows, old.rows_length = [], 0
        self._state.versions[title] = new.name
        self._heal.deployed(new)
        self._driver.took_over(TookOver(changes.at, dict(replacement.contexts)))
        self._tell(Replaced(msgspec.structs.replace(changes)))
        if replacement.why:  # an ensemble died meanwhile
            self._roll_back(replacement, replacement.why)
        elif replacement.watch and replacement.contexts:
            self._later(min(LOOK, replacement.watch), replacement, self._look)
        else:
            self._done(replacement)

    # The new version is watched.

    def _look(self, replacement: ReplaceState) -> None:
        self._reports.look()
        if self._state.awaited:  # since a restart of the manager: they may hold outputs, and would not hear of an end
            replacement.limit = self._driver.now() + replacement.watch
        left = replacement.limit - self._driver.now()
        new = self._state.graphs[replacement.new]
        why = why_failed(replacement, new, self._reports.errors(new), over=left <= 0)
        if why is not None and not self._state.awaited:
            self._roll_back(replacement, why)
        elif left > 0:
            self._later(min(LOOK, left), replacement, self._look)
        else:
            self._done(replacement)

    def restarted(self) -> None:
        """This is the next start of a manager that died: a watch begins anew, a way back goes on, all else ends."""
        for graph in self._state.graphs.values():
            if graph.goes_on is not None:
                self._release(graph, graph.goes_on, rest.lost_holders(self._state.lost, graph))
        for replacement in list(self._state.replacements.values()):
            old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
            rest.note_holders(self._state.lost, old, new)
            if replacement.stage == "watch":
                replacement.limit = self._driver.now() + replacement.watch
                self._later(min(LOOK, replacement.watch), replacement, self._look)
            elif replacement.stage in rest.BEFORE:
                self._give_up(replacement, rest.NEXT_START)
            elif replacement.stage == "place":  # some have come; the others come as after a loss, with the same states
                self._came(replacement)
            else:
                replacement.waits_for, new.state = set(), "held"
                self._later(LOOK, replacement, self._ask_anew)  # when it is known what ended with that manager

    def _ask_anew(self, replacement: ReplaceState) -> None:
        """After a restart of the manager: ensembles may not have heard that the new version ends, and it runs there."""
        if self._state.awaited or self._driver.now() < replacement.changes.at:  # a question holds streams at once
            self._later(LOOK, replacement, self._ask_anew)
        else:
            rest.begin(replacement, self._leaving(replacement), "back", self._driver.now() + rest.BACK_LIMIT)
            self._ask(replacement)

    def worker_died(self, ensemble: str, how: str, running: Firings) -> None:
        """A worker process has ended by itself: if a new version ran there that is watched, that has failed."""
        for graph, sq, *_ in running:
            replacement = self._state.replacement_of(graph)
            if replacement is not None and replacement.stage == "watch" and replacement.new == graph:
                self._roll_back(replacement, f"the worker process of {sq} on {ensemble!r} {how}")

    def _done(self, replacement: ReplaceState) -> None:
        old = self._state.graphs[replacement.old]
        self._reports.recounted(old, self._unless_on(replacement, self._stays))

    def _stays(self, replacement: ReplaceState) -> None:
        """The new version stays, and the old one ends."""
        old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
        self._reports.take_over(old, new)
        del self._state.replacements[new.title]
        self._deploy.discard(old)
        self._end(new.title, None, replacement.changes)

    # Back to the old version.

    def lost(self, name: str) -> None:
        """An ensemble is dead, or cut off: what it was to answer is waited for no longer."""
        for replacement in list(self._state.replacements.values()):
            old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
            if name not in old.hosts and name not in new.hosts:
                continue
            rest.note_holders(self._state.lost, old, new)
            why = f"{name!r} died meanwhile"
            if replacement.stage in rest.BEFORE:
                self._give_up(replacement, why)
            elif replacement.stage == "place":
                replacement.why = replacement.why or why
                if name in replacement.waits_for:
                    replacement.waits_for.discard(name)
                    self._go_on(replacement)
            elif replacement.stage == "back" and name in replacement.waits_for:
                replacement.waits_for.discard(name)
                for completion in replacement.rounds.values():
                    completion.ensembles.discard(name)
                if not replacement.waits_for:
                    self._at_rest(replacement)

    def _give_up(self, replacement: ReplaceState, why: str) -> None:
        """The old version goes on: nothing of the new one has begun."""
        title, old = replacement.changes.graph, self._state.graphs[replacement.old]
        self._release(old, Switch(old.name, 0, cancel=True))
        del self._state.replacements[title]
        self._deploy.discard(self._state.graphs[replacement.new])
        self._end(title, TTRuntimeError(why))

    def _roll_back(self, replacement: ReplaceState, why: str) -> None:
        """The new version has failed: its streams end at one tick, and the old one goes on from there."""
        replacement.why = why
        self._switch(replacement, self._state.graphs[replacement.new], "back", rest.BACK_LIMIT)

    def _back(self, replacement: ReplaceState) -> None:
        """The old version goes on with the states that it had at the switch."""
        title = replacement.changes.graph
        old, new = self._state.graphs[replacement.old], self._state.graphs[replacement.new]
        new.state, old.ends = "held", new.ends
        outputs = sum(context.output_count for context in new.contexts.values())
        self._reports.look()
        self._reports.take_over(new, old)
        del self._state.replacements[title]
        self._deploy.discard(new)
        self._state.versions.pop(title, None)
        if old.version_of:
            self._state.versions[title] = old.name
        at = replacement.changes.at
        # A stream that heard too late that it was to end has fired since then.
        since = {sq: max(at, tick + 1) for sq, tick in replacement.fired.items() if sq in old.host_of}
        order = Switch(old.name, at, cancel=True, since=since)
        for states in replacement.states.values():
            rest.go_on_from(old.graph, states, order)
        old.state = "running" if replacement.contexts else "ready"
        for context in old.live:  # for what goes on elsewhere
            context.checkpoints.update(replacement.states.get(context.number, {}))
        self._release(old, order)
        self._driver.took_over(TookOver(at, {new: old for old, new in replacement.contexts.items()}))
        self._tell(RolledBack(title, replacement.why, at, outputs))
        self._heal.deployed(old)  # some of its ensembles may have gone
        why = f"{replacement.why} (the old version goes on, with its state of the switch)"
        self._end(title, TTRuntimeError(why), told=True)

    def _release(self, old: GraphState, order: Switch, more: tuple[str, ...] = ()) -> None:
        """Let the ensembles go on with the old version, which they hold; one that is lost now, when it comes back."""
        for host in (*old.hosts, *more):
            if host in self._state.lost:
                self._state.lost[host].goes_on[old.name] = order
            else:
                self._send(host, SyncMsg.SWITCH, order)
        if self._driver.keeps_state:  # the next manager tells those that have not heard of it
            old.goes_on = order
            self._driver.after(rest.HEARD_AFTER, partial(rest.heard, old, order))

    def _stopped(self, state: GraphState) -> None:
        """A graph was stopped by a requester: its other version ends, too."""
        replacement = self._state.replacement_of(state.name)
        if replacement is not None:
            title = replacement.changes.graph
            del self._state.replacements[title]
            for name in (replacement.old, replacement.new):
                if name != state.name and name in self._state.graphs:
                    self._deploy.discard(self._state.graphs[name])
            self._end(title, TTRuntimeError("it was stopped meanwhile"), told=True)

    def _end(self, title: str, error: BaseException | None, result: Any = None, told: bool = False) -> None:
        self._state.replacements.pop(title, None)
        later = self._replies.pop(title, None)
        if error is not None and not told:
            self._tell(NotReplaced(title, str(error)))
        if later is None:
            return
        if error is None:
            later.set_result(result)
        elif isinstance(error, TTRuntimeError):
            later.set_exception(TTRuntimeError(f"graph {title!r} is not replaced: {error}"))
        else:
            later.set_exception(error)

    def _leaving(self, replacement: ReplaceState) -> GraphState:
        return self._state.graphs[replacement.new if replacement.stage == "back" else replacement.old]

    def _alive(self, graph: GraphState) -> list[str]:
        living = {info.name for info in self._state.infos()}
        return [host for host in graph.hosts if host in living]

    def _later(self, ticks: int, replacement: ReplaceState, act: Callable[[ReplaceState], None]) -> None:
        self._driver.after(ticks, self._unless_on(replacement, act))

    def _unless_on(self, replacement: ReplaceState, act: Callable[[ReplaceState], None]) -> Callable[[], None]:
        """`act`, for later, unless the replacement has gone on meanwhile."""
        stage, number, title = replacement.stage, replacement.round, replacement.changes.graph

        def call() -> None:
            same = self._state.replacements.get(title) is replacement
            if same and (replacement.stage, replacement.round) == (stage, number):
                act(replacement)

        return call

    def _place(
        self, graph: GraphState, states: Mapping[int, Mapping[str, InstanceState]] = {}, nowhere: bool = False
    ) -> None:
        """Tell the ensembles of a version where its SQs are, and with which states they come; or: nowhere."""
        graph.told += 1
        host_of = dict.fromkeys(graph.host_of, "") if nowhere else dict(graph.host_of)
        for host in self._alive(graph):
            mine = {number: {sq: of[sq] for sq in graph.sqs_on(host) if sq in of} for number, of in states.items()}
            alone = graph.alone.get(host, [])
            self._heal.place(host, Placement(graph.name, host_of, dict(graph.generations), mine, alone))
