"""Reports of ensembles about contexts: whether one is done, its counters, the costs of bodies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future

from ticktalk.counters import Counts, merged
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.hosted.completion import Completion
from ticktalk.manager.driver import Driver, Send, Tell, Usage
from ticktalk.manager.events import GraphDone, RunsLong
from ticktalk.manager.heal import Heal
from ticktalk.manager.outputs import Outputs
from ticktalk.manager.state import ENDED_KEPT, ContextState, GraphState, ManagerState
from ticktalk.messages import SyncMsg
from ticktalk.payloads import IdleReport, ReportRequest, StartContext, StopGraph
from ticktalk.ranges import known

REPORT_PERIOD = 100_000
"""Microseconds between questions whether a context is done."""

SELDOM = 500_000
"""Root ticks between two such questions at most, while bodies run or streams are open. A question and its answers take
a millisecond of processor time of each ensemble."""

SHARE = 16
"""The part of its time by which the end of a context may be noticed late because of that."""

RECOUNTED = 10
"""Such questions to one about what a context lost that has ended: it may still come, when a link is whole again. It is
asked the more seldom the longer it lacks, by the same share."""

PROFILE_LIMIT = 2_000_000
"""Microseconds for which a requester of costs waits for the ensembles' answers."""

SETTLE = 1_000_000
"""Microseconds for which the stop of a graph waits for what was sent before."""

Losses = dict[str, dict[str, int]]
"""By the ensemble on the way to which they were lost, and SQ or sender of outputs: how many tokens."""

Costs = list[tuple[str, list[int], list[int]]]
"""Function, times (microseconds) and token sizes (bytes) of some runs: an entry for each ensemble and context."""


class Reports:
    """Asks for reports, takes them, and ends the contexts that are done.

    Args:
        state: all that the manager knows.
        starts: the messages that started contexts, by context that goes on.
        send: how ensembles are reached.
        tell: how people are.
        driver: hosts the manager.
        heal: knows which SQs have still to go on elsewhere.
        outputs: takes the outputs of contexts.
    """

    def __init__(
        self,
        state: ManagerState,
        starts: dict[int, StartContext],
        send: Send,
        tell: Tell,
        driver: Driver,
        heal: Heal,
        outputs: Outputs,
    ) -> None:
        self._state, self._starts = state, starts
        self._send, self._tell, self._driver = send, tell, driver
        self._heal, self._outputs = heal, outputs
        self._profiles: list[tuple[GraphState, Future[Costs]]] = []
        self._asked = 0
        self._asked_at: dict[int, int] = {}  # by context that goes on
        self._recounted: dict[int, tuple[int, int]] = {}  # by context that lacks something: since when, and asked when
        self._ending: list[tuple[GraphState, Callable[[], None]]] = []  # calls that wait until a graph is settled

    def ask(self) -> None:
        """Ask how the contexts stand that go on, and now and then what others have lost; every `REPORT_PERIOD`."""
        self._asked += 1
        for state in self._state.graphs.values():
            self._ask(state, [context for context in state.live if not self._may_wait(state, context)])
        if self._asked % RECOUNTED == 0:
            self._recount_losses()

    def _recount_losses(self) -> None:
        """Ask what contexts have lost that have ended, where it is time."""
        now, before = self._driver.now(), self._recounted
        lacking = [(state, each) for state in self._state.graphs.values() for each in _lacking(state)]
        self._recounted = {context.number: before.get(context.number, (now, now)) for _, context in lacking}
        for state, context in lacking:
            since, asked = self._recounted[context.number]
            if now - asked >= (now - since) // SHARE:
                self._recounted[context.number] = since, now
                self._recount(state, context)

    def _may_wait(self, state: GraphState, context: ContextState) -> bool:
        """True if a context that has not been asked for a while surely goes on, as far as is known."""
        completion, now = context.completion, self._driver.now()
        if state.ends or state.told != context.told or completion.ensembles != set(state.hosts):
            return False
        if context.until is not None and now >= context.until:
            return False
        pause = min(SELDOM, (now - context.start_tick) // SHARE)
        return completion.busy and now < self._asked_at.get(context.number, 0) + pause

    def _ask(self, state: GraphState, contexts: Sequence[ContextState]) -> None:
        for context in contexts:
            self._asked_at[context.number] = self._driver.now()
            completion = context.completion
            if state.told != context.told:
                context.told = state.told
                completion.begin_again()
            completion.ensembles = set(state.hosts)
            request = ReportRequest(state.name, context.number, completion.ask(), ends=state.ends)
            for name in sorted(completion.ensembles):
                self._send(name, SyncMsg.REPORT, request)

    def back(self, ensemble: str) -> None:
        """An ensemble that was cut off is heard again: the losses of starts that ended without it are counted anew."""
        for state in self._state.graphs.values():
            for context in state.contexts.values():
                if context.ended and ensemble in {*context.completion.latest, *state.hosts}:
                    self._recount(state, context)

    def _recount(self, state: GraphState, context: ContextState) -> None:
        request = ReportRequest(state.name, context.number, context.completion.ask())
        for name in sorted({*context.completion.latest, *state.hosts}):
            self._send(name, SyncMsg.REPORT, request)

    def settle(self, state: GraphState, then: Callable[[], None]) -> None:
        """Let nothing of a graph fire any more, and call `then` when what it has sent has come, or `SETTLE` later.

        Of starts that have ended it is asked once more what they have lost: it may have come since.
        """
        lacking = _lacking(state)
        if self._is_seen(state, (*state.live, *lacking)):
            then()
            return
        state.ends = True
        self._ask(state, state.live)
        self._await(state, lacking, then)

    def recounted(self, state: GraphState, then: Callable[[], None]) -> None:
        """Ask once more what ended starts have lost; call `then` when all have answered, or `SETTLE` later."""
        lacking = _lacking(state)
        if self._is_seen(state, lacking):
            then()
        else:
            self._await(state, lacking, then)

    def _is_seen(self, state: GraphState, contexts: Sequence[ContextState]) -> bool:
        """True if there are none of these, or the driver sees the losses itself."""
        return all(self._driver.reports(state.name, context.number) is not None for context in contexts)

    def _await(self, state: GraphState, lacking: Sequence[ContextState], then: Callable[[], None]) -> None:
        entry = state, then
        self._ending.append(entry)
        self._driver.after(SETTLE, lambda: self._end([each for each in self._ending if each is entry]))
        for context in lacking:
            self._recount(state, context)

    def _end_settled(self, state: GraphState) -> None:
        asked_since = all(context.told == state.told for context in state.live)  # SQs may have fired at a new host
        came = asked_since and all(each.completion.all_came(each.outputs) for each in state.live)
        if came and all(each.completion.recounted for each in _lacking(state)):
            self._end([entry for entry in self._ending if entry[0] is state])

    def _end(self, entries: Sequence[tuple[GraphState, Callable[[], None]]]) -> None:
        self._ending = [each for each in self._ending if not any(each is entry for entry in entries)]
        for _, then in entries:
            then()

    def _of(self, report: IdleReport) -> tuple[GraphState, ContextState] | None:
        """The graph and the start of which a report tells; None: they are forgotten.

        Raises:
            InvalidMessageError: it tells of what they do not have.
        """
        state = self._state.graphs.get(report.graph)
        context = state.contexts.get(report.context) if state is not None else None
        if state is None or context is None:
            return None
        sqs = state.host_of.keys()
        known(report.counts, sqs | {report.ensemble}, f"SQs of graph {state.name!r}, in a report,")
        by_sq = {*report.waiting, *report.lateness, *report.stuck, *report.metrics, *report.work, *report.places}
        known(by_sq, sqs, f"SQs of graph {state.name!r}, in a report,")
        known(report.running, sqs, f"SQs of graph {state.name!r}, in a report,")
        by_name = wiring_of(state.graph).by_name if report.stuck else {}
        for sq, told in report.stuck.items():
            known(told.names(), {port.name for port in by_name[sq].ports}, f"ports of {sq}, in a report,")
        known({sq for to in report.left_out.values() for sq in to}, sqs, f"SQs of graph {state.name!r}, in a report,")
        return state, context

    def count(self, report: IdleReport) -> None:
        """Take note of what an ensemble has counted, in an answer to another question than `ask`."""
        found = self._of(report)
        if found is not None and report.ensemble in found[1].completion.ensembles:
            found[1].completion.latest[report.ensemble] = report

    def take(self, report: IdleReport, stamp: int) -> None:
        """Take a report that came at root tick `stamp`."""
        found = self._of(report)
        if found is None:
            return
        state, context = found
        state.changed_late += context.ended
        self._see_long(state, context, report)
        if report.profile is not None:
            known([report.ensemble], context.profiles, "ensembles that were asked for costs and")
            context.profiles[report.ensemble] = report.profile
            self._answer_profiles()
        elif context.ended:
            context.completion.recount(report, context.outputs)
        elif context.completion.take(report, context.outputs, stamp):
            if context.told == state.told and self._heal.settled(state, context.until, stamp):
                self.end(state, context)
            else:
                context.completion.goes_on()  # SQs that wait for an ensemble, or move, have still to go on
        if self._ending:
            self._end_settled(state)

    def _see_long(self, state: GraphState, context: ContextState, report: IdleReport) -> None:
        """Tell once that a firing runs for long: that of the SQ that has run the longest may hold up the others."""
        if not report.running:
            context.runs_long.discard(report.ensemble)
        elif report.ensemble not in context.runs_long:
            context.runs_long.add(report.ensemble)
            sq, (start, stop, time) = next(iter(report.running.items()))
            self._tell(RunsLong(state.title, report.ensemble, sq, start, stop, time))

    def end(self, state: GraphState, context: ContextState) -> None:
        """A context is done, or its graph is stopped: it is resumed nowhere any more."""
        if not context.ended:
            context.ended = True
            if self._driver.reports(state.name, context.number) is None:
                context.completion.conclude(context.outputs)
            context.inputs, context.checkpoints = {}, {}
            del self._starts[context.number]
            self._asked_at.pop(context.number, None)
            self._outputs.flush()
            lost = self._losses([context.completion])
            if state.state not in ("waiting", "held"):
                self._tell(GraphDone(state.title, context.number, context.output_count, lost))
            self._driver.ended(context.number)

    def outgrow(self, state: GraphState) -> None:
        """Forget the contexts that ended long ago, here and on the ensembles, but for sums."""
        ended = [context for context in state.contexts.values() if context.ended]
        for context in ended[: max(0, len(ended) - ENDED_KEPT)]:
            self._sum_up(context, state)
            del state.contexts[context.number]
            self._outputs.forget(context)
            for host in state.hosts:
                self._send(host, SyncMsg.STOP, StopGraph(state.name, context.number))

    def _sum_up(self, context: ContextState, state: GraphState) -> None:
        former, completion = state.former, context.completion
        former.contexts += 1
        former.outputs += context.output_count
        former.losses = merged([former.losses, self._losses([completion])])
        former.counts = summed([former.counts, _counts(completion)], state.host_of)

    def take_over(self, ended: GraphState, stays: GraphState) -> None:
        """One version of a graph ends, the other one goes on: what was counted before goes on to count."""
        mine, more = stays.former, ended.former
        mine.contexts, mine.outputs = mine.contexts + more.contexts, mine.outputs + more.outputs
        mine.losses = merged([mine.losses, more.losses])
        mine.counts = summed([mine.counts, more.counts], stays.host_of)
        for context in ended.contexts.values():
            self._sum_up(context, stays)

    def look(self) -> None:
        """Bring reports and heartbeats up to date where the driver sees all ensembles; elsewhere they send them."""
        for name, ensemble in self._state.ensembles.items():
            if self._driver.hears(name):
                ensemble.heard = self._driver.now()
        for state in self._state.graphs.values():
            for context in state.contexts.values():
                seen = self._driver.reports(state.name, context.number)
                if seen is not None:
                    state.changed_late += context.ended
                    idle = not any(report.busy for report in seen)
                    context.completion.see(seen)
                    context.completion.done = idle and self._heal.settled(state, context.until, self._driver.now())

    def counts(self, graph: str) -> Counts:
        """The counters of all contexts of a graph, as last reported."""
        state = self._state.graphs.get(graph)
        if state is None:
            return {}
        each = [_counts(context.completion) for context in state.contexts.values()]
        return summed([state.former.counts, *each], state.host_of)

    def errors(self, graph: GraphState) -> dict[str, int]:
        """By SQ, the number of its firings that raised; SQs without any are left out."""
        return {sq: kinds["errors"] for sq, kinds in self.counts(graph.name).items() if kinds.get("errors")}

    def losses(self, state: GraphState) -> Losses:
        """The losses of all contexts of a graph, and where."""
        own = self._losses([context.completion for context in state.contexts.values()])
        return merged([state.former.losses, own])

    def _losses(self, completions: list[Completion]) -> Losses:
        losses: list[Losses] = []
        for completion in completions:
            losses.append({to or self._state.manager.name: by_sq for to, by_sq in completion.losses.items()})
            reports = [*completion.departed.values(), *completion.latest.values()]
            losses += [
                {report.ensemble: {sq: kinds["lost"] for sq, kinds in report.counts.items() if kinds.get("lost")}}
                for report in reports
            ]
        return {to: by_sq for to, by_sq in merged(losses).items() if by_sq}

    def loads(self) -> list[Usage]:
        """The running times of bodies on each ensemble that reports them, in the starts that go on, or in the last."""
        worked: dict[str, int] = {}
        since: dict[str, int] = {}
        for state in self._state.graphs.values():
            for context in state.live or list(state.contexts.values())[-1:]:
                for name, report in context.completion.latest.items():
                    time, length = report.worked
                    worked[name] = worked.get(name, 0) + time
                    since[name] = max(since.get(name, 0), length)
        return [
            Usage("bodies", name, 1, time / max(1, since[name]), 0, "", None)
            for name, time in sorted(worked.items())
            if time
        ]

    def profile(self, state: GraphState, later: Future[Costs]) -> None:
        """Ask the ensembles for the costs of a graph's bodies; `later` gets the answers that come in time."""
        state.changed_late += 1
        for context in state.contexts.values():
            context.profiles = dict.fromkeys(sorted(context.completion.ensembles))
            for name in context.profiles:
                self._send(name, SyncMsg.REPORT, ReportRequest(state.name, context.number, 0, profile=True))
        self._profiles.append((state, later))
        self._driver.after(PROFILE_LIMIT, lambda: self._answer_profiles(later))
        self._answer_profiles()

    def _answer_profiles(self, late: Future[Costs] | None = None) -> None:
        """Answer the requesters whose ensembles have all answered, and the one that has waited long enough."""
        for state, later in list(self._profiles):
            told = [profile for context in state.contexts.values() for profile in context.profiles.values()]
            if None not in told or later is late:
                self._profiles.remove((state, later))
                later.set_result([(function, *costs) for each in told if each for function, costs in each.items()])


def _lacking(state: GraphState) -> list[ContextState]:
    """The starts of a graph that have ended, and lack something that was sent: it may still come."""
    ended = [context for context in state.contexts.values() if context.ended]
    return [each for each in ended if any(kinds.get("lost") for kinds in _counts(each.completion).values())]


def summed(rows: Sequence[Counts], sqs: Collection[str]) -> Counts:
    """The sum of contexts' counts. The counts of an ensemble for itself stand in the reports of all, and count once."""
    total = merged(rows)
    for name in total.keys() - set(sqs):
        for kind in total[name].keys() - {"lost"}:  # outputs of a context that were lost stand there, too
            total[name][kind] = max(row.get(name, {}).get(kind, 0) for row in rows)
    return total


def _counts(completion: Completion) -> Counts:
    """The counts of all ensembles, and what had not come at the end."""
    late = [{sq: {"lost": n} for sq, n in by_sq.items()} for by_sq in completion.losses.values()]
    return merged([completion.counts(), *late])
