"""Completion of a context: each ensemble's report of it, and the manager's conclusion.

A context is done when every ensemble is idle and nothing is under way, in two equal rounds of reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from ticktalk.counters import Counts, merged
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.hosted.arc_numbers import ContextArcs
from ticktalk.hosted.body_runner import Bodies
from ticktalk.hosted.lease import Times
from ticktalk.hosted.silence import WaitingSince
from ticktalk.hosted.watchdog import Watchdog
from ticktalk.payloads import IdleReport, InstanceState, ReportRequest, StopGraph
from ticktalk.series import bounded

NOT_STARTED = "not started"
"""The ensemble does not have the context."""


class EnsembleReports:
    """The reports of one ensemble.

    Args:
        host: the contexts.
        bodies: theirs.
        arcs: by graph and context, how many tokens passed on its arcs.
        moving: whether SQs of a graph come or leave here.
        own: the ensemble's own counts, by kind.

    Attributes:
        outputs: by graph and context, the outputs sent to the manager.
    """

    def __init__(
        self,
        host: EnsembleHost,
        bodies: Bodies,
        arcs: Mapping[tuple[str, int], ContextArcs],
        moving: Callable[[str], bool],
        own: Callable[[], dict[str, int]],
    ) -> None:
        self._host, self._bodies, self._arcs, self._moving, self._own = host, bodies, arcs, moving, own
        self.outputs: Counter[tuple[str, int]] = Counter()
        self._watchdog = Watchdog()
        self._waits = WaitingSince()

    def report(self, request: ReportRequest) -> IdleReport:
        """The report of a context here. `profile` asks for the costs of its bodies, too; if it `ends`, none fires."""
        graph, number = key = request.graph, request.context
        context, passed, here = self._host.contexts.get(key), self._arcs.get(key), self._host.name
        if context is not None and request.ends:
            context.rest()
        if context is None or passed is None:
            return IdleReport(graph, number, here, request.round, NOT_STARTED, profile={} if request.profile else None)
        numbers = passed.sent
        ways = [way for forward in context.forwards.values() for way in forward.to_others()]
        counts = context.counts
        found = self._bodies.measured(context, bool(request.profile))
        own = {kind: count for kind, count in self._own().items() if count}
        return IdleReport(
            graph,
            number,
            here,
            request.round,
            self.busy(key),
            {arc: dict.fromkeys(hosts, numbers[arc]) for arc, hosts in ways if arc in numbers},
            passed.received,
            self.outputs[key],
            {**counts, here: own} if own else counts,
            context.waiting(),
            found.lateness,
            found.profile if request.profile else None,
            self._watchdog.look(key, self._bodies.under_way(context), self._host.agenda.now),
            self._waits.look(key, context, self._host.agenda.now),
            passed.left_out,
            (found.worked, max(0, self._host.agenda.now - context.start_tick)),
            found.work,
            *bounded(found.metrics),
            found.places,
        )

    def busy(self, key: tuple[str, int]) -> str:
        """The reason why a context here is not idle; empty when it is."""
        context = self._host.contexts[key]
        # An output that waits to be sent needs no look: it is counted as sent, so the manager waits for it.
        pending = (f"{name} is pending" for name, sync in context.syncs.items() if sync.pending)
        return self.acts(key) or next(pending, "")

    def acts(self, key: tuple[str, int]) -> str:
        """The reason why something happens in a context now, whatever is due later; empty when there is none."""
        context = self._host.contexts[key]
        if not self._arcs[key].begun:
            return "about to start"
        if self._moving(key[0]):
            return "SQs come or leave"
        if self._host.agenda.ready:
            return "firing"
        sq = self._bodies.busy(context)
        return f"{sq} runs" if sq else ""

    def forget(self, stop: StopGraph) -> None:
        """Contexts have ended."""
        for key in [key for key in self.outputs if stop.ends(key)]:
            del self.outputs[key]
        self._watchdog.forget(stop)
        self._waits.forget(stop)


class Completion(msgspec.Struct):
    """The completion of one context: in two equal rounds, every ensemble is idle and nothing is under way.

    Attributes:
        ensembles: the hosts of its SQs.
        round: the number of the last question.
        done: whether it is.
        losses: the tokens and outputs that were sent and never came, once it has ended: by the ensemble to which they
            were sent (the manager is ""), and the SQ, or the sender of outputs. Receivers count those that were lost
            before one that came.
        latest: by ensemble, its last report.
        sent_to_departed: by such an ensemble, arc to the number of the last token that it was sent.
        departed: the last reports of ensembles that are gone and may come back.
        former: the counts of ensembles that do not come back.
        answers: the answers of this round.
        before: the findings of the round before: by ensemble, tokens sent, tokens received, outputs.
        different_since: the tick since which more was sent than received.
        were_gone: those that were hosts of its SQs when they died, or were cut off.
        returned: those that were cut off, and are back as they were.
    """

    ensembles: set[str]
    round: int = 0
    done: bool = False
    losses: dict[str, dict[str, int]] = {}
    latest: dict[str, IdleReport] = {}
    sent_to_departed: dict[str, dict[str, int]] = {}
    departed: dict[str, IdleReport] = {}
    former: Counts = {}
    answers: dict[str, IdleReport] = {}
    before: list[tuple[str, dict[str, dict[str, int]], dict[str, int], int]] | None = None
    different_since: int | None = None
    were_gone: set[str] = set()
    returned: set[str] = set()

    def __post_init__(self) -> None:
        self.ensembles = set(self.ensembles)

    @property
    def lost(self) -> int:
        """The number of tokens and outputs that never came."""
        return sum(count for by_sq in self.losses.values() for count in by_sq.values())

    @property
    def busy(self) -> bool:
        """True if all have answered in this round, and one is not idle."""
        answers = self.answers
        return self.ensembles <= answers.keys() and any(answer.busy for answer in answers.values())

    def ask(self) -> int:
        """Begin a round; its number."""
        self.round += 1
        self.answers = {}
        return self.round

    def begin_again(self) -> None:
        """SQs have been placed anew: earlier answers say nothing of now."""
        self.round += 1
        self.answers = {}
        self.before, self.different_since = None, None

    def gone(self, ensemble: str) -> None:
        """An ensemble has died: nothing waits for its answers any more, and its counts still count."""
        if ensemble in self.ensembles:
            self.ensembles.remove(ensemble)
            self.were_gone.add(ensemble)
        self.returned.discard(ensemble)
        before = self.departed.pop(ensemble, None)
        self.sent_to_departed.pop(ensemble, None)  # to an older start of it
        if before is not None:
            self.former = merged([self.former, before.counts])
        report = self.latest.pop(ensemble, None)
        if report is not None:
            self.departed[ensemble] = report
            self.sent_to_departed[ensemble] = {
                arc: to[ensemble] for each in self.latest.values() for arc, to in each.sent.items() if ensemble in to
            }

    def gave_away(self, ensemble: str, states: Iterable[InstanceState]) -> None:
        """SQs move from an ensemble with these states: tokens lost on the way to them are counted at their new host."""
        report = self.latest.get(ensemble)
        if report is not None:
            theirs = {arc for state in states for arc in state.received}
            received = {arc: number for arc, number in report.received.items() if arc not in theirs}
            self.latest[ensemble] = msgspec.structs.replace(report, received=received)

    def taken_over(self, lost: str, to: str, state: InstanceState) -> None:
        """An SQ of an ensemble that is gone goes on with this state: what it lacks is counted at its new host.

        Not of arcs whose tokens come there anyway, for another SQ.
        """
        report = self.latest.get(to)
        counted = state.received.keys() - (report.received.keys() if report is not None else ())
        if lost in self.sent_to_departed:
            sent = self.sent_to_departed[lost]
            self.sent_to_departed[lost] = {arc: number for arc, number in sent.items() if arc not in counted}

    def back(self, ensemble: str) -> None:
        """An ensemble was not dead but cut off: it reports its own counts again."""
        self.returned.add(ensemble)
        report = self.departed.pop(ensemble, None)
        self.sent_to_departed.pop(ensemble, None)
        if report is not None:
            self.latest[ensemble] = report

    def take(self, report: IdleReport, outputs_arrived: Mapping[str, int], now: int) -> bool:
        """Take one ensemble's answer; whether the context is done now.

        Args:
            report: the answer.
            outputs_arrived: by ensemble, outputs of the context that have reached the manager.
            now: the present root tick.
        """
        if report.ensemble not in self.ensembles:
            return self.done  # it was taken for dead; before it is back it counts as it did when it was
        self.latest[report.ensemble] = report
        if report.round != self.round or self.done:
            return self.done
        self.answers[report.ensemble] = report
        if not self.ensembles <= set(self.answers):
            return False
        answers = [self.answers[name] for name in sorted(self.ensembles)]
        if any(answer.busy for answer in answers):
            self.before, self.different_since = None, None
            return False
        missing = _missing(answers, outputs_arrived)
        state = [(a.ensemble, a.sent, a.received, a.outputs) for a in answers]
        same = state == self.before
        self.before = state
        if not same:
            self.different_since = None
            return False
        if missing:
            if self.different_since is None:
                self.different_since = now
            if now - self.different_since < Times().lost_after:
                return False
        self.losses = _missing(answers, outputs_arrived, self.were_gone)
        self.done = True
        return True

    def recount(self, report: IdleReport, outputs_arrived: Mapping[str, int]) -> None:
        """Take an answer after the end: an ensemble that was cut off may have sent and taken tokens unknown by then."""
        if report.round == self.round:
            self.latest[report.ensemble] = self.answers[report.ensemble] = report
            if report.busy == NOT_STARTED and report.ensemble in self.returned:
                self.were_gone.discard(report.ensemble)  # it was cut off before the start reached it: it took nothing
            self.losses = _missing(list(self.latest.values()), outputs_arrived, self.were_gone)

    @property
    def recounted(self) -> bool:
        """True if all that have told of it have done so in this round, too."""
        return self.latest.keys() <= self.answers.keys()

    def goes_on(self) -> None:
        """It is not done after all: SQs wait for an ensemble, or move."""
        self.done, self.losses = False, {}

    def all_came(self, outputs_arrived: Mapping[str, int]) -> bool:
        """True if all have answered in this round, and what they had sent has come."""
        return self.ensembles <= set(self.answers) and not _missing(list(self.answers.values()), outputs_arrived)

    def conclude(self, outputs_arrived: Mapping[str, int]) -> None:
        """Its graph is stopped: what has not come by now is lost."""
        if not self.done:
            told = [report for name, report in self.latest.items() if name in self.ensembles]
            self.losses = _missing(told, outputs_arrived, self.ensembles | self.were_gone)
            for ensemble, sent in self.sent_to_departed.items():
                _count_missing(self.losses, ensemble, sent, self.departed[ensemble].received, known=True)

    def see(self, reports: list[IdleReport]) -> None:
        """Take the place of all that was reported: in simulation every ensemble is seen, those that are gone, too."""
        self.latest, self.departed, self.former = {report.ensemble: report for report in reports}, {}, {}

    def counts(self) -> Counts:
        """The counts of all ensembles."""
        told = [*self.departed.values(), *self.latest.values()]
        return merged([self.former, *(report.counts for report in told)])


def _missing(
    reports: list[IdleReport], outputs_arrived: Mapping[str, int], away: Collection[str] | None = None
) -> dict[str, dict[str, int]]:
    """The tokens that were sent and have not come: by receiver (the manager is ""), and SQ, or sender of outputs.

    `away`: (at the end) receivers that may have taken what was sent, and do not say. Others without the context took
    nothing. Those that have no number of an arc yet took an SQ over after a loss: most of it came to a host before.
    """
    found: dict[str, dict[str, int]] = {}
    received = {report.ensemble: report.received for report in reports if away is None or report.busy != NOT_STARTED}
    for report in reports:
        outputs = report.outputs - outputs_arrived.get(report.ensemble, 0)
        if outputs > 0:
            found.setdefault("", {})[report.ensemble] = outputs
        for arc, by_ensemble in report.sent.items():
            for ensemble, count in by_ensemble.items():
                if ensemble in received:
                    _count_missing(found, ensemble, {arc: count}, received[ensemble], known=away is not None)
                elif away is not None and ensemble not in away:
                    _count_missing(found, ensemble, {arc: count}, {}, known=False)
    return found


def _count_missing(
    found: dict[str, dict[str, int]], receiver: str, sent: Mapping[str, int], received: Mapping[str, int], known: bool
) -> None:
    for arc, count in sent.items():
        missing = count - received.get(arc, count if known else 0)
        if missing > 0:
            sq, by_sq = arc.rpartition("/")[0], found.setdefault(receiver, {})
            by_sq[sq] = by_sq.get(sq, 0) + missing
