"""The numbers of tokens on each arc between ensembles: they show lost tokens, and a context's end.

Every token has a number: the count of tokens that its ensemble has sent on its arc. Many arcs that always pass tokens
together are counted as one (`ArcBundle`) until a caller asks for one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ticktalk.engine.context import Context
from ticktalk.payloads import InstanceState

LEAP = 100_000
"""Tokens that count as lost at most before one that came. An arc further ahead counts on from that one."""

GAPS_KEPT = 100
"""Gaps of an arc that are remembered: tokens of an SQ's host before may come after its next ones."""

Numbers = int | list[int]
"""Numbers of tokens sent together: one for each arc, or one for all."""


class ArcBundle:
    """Arcs whose tokens are sent together."""

    __slots__ = ("arcs", "number")

    def __init__(self, arcs: Sequence[str]) -> None:
        self.arcs = arcs
        self.number = -1  # that all arcs have reached; -1: each has its own, in the table


class ArcNumbers:
    """The tokens of one context that one ensemble sends to others or receives from them.

    Args:
        lost: told an arc, and the number of tokens missing before one that came on it; -1: one of them came later.
        incoming: the arcs on which tokens come here from the start on: those count from the first.
    """

    def __init__(self, lost: Callable[[str, int], None], incoming: Iterable[str] = ()) -> None:
        self._lost = lost
        self._sent: dict[str, int] = {}
        self._numbers: dict[str, int] = dict.fromkeys(incoming, 0)  # of the last token that came
        self._sending: list[ArcBundle] = []  # arcs that count as one at present
        self._receiving: list[ArcBundle] = []
        self._gaps: dict[str, list[range]] = {}  # by arc: numbers that count as lost
        self.left_out: dict[str, dict[str, int]] = {}  # by receiver and SQ: tokens that were not sent there

    # Outgoing tokens.

    def send(self, arc: str) -> int:
        """Count one more token sent on an arc; its number."""
        if self._sending:
            self._settle_sent()
        number = self._sent[arc] = self._sent.get(arc, 0) + 1
        return number

    def send_together(self, bundle: ArcBundle) -> Numbers:
        """Count one more token sent on each arc of a bundle; their numbers."""
        if bundle.number < 0:
            self._settle_sent()
            numbers = [self._sent.get(arc, 0) for arc in bundle.arcs]
            if min(numbers) != max(numbers):
                return [self.send(arc) for arc in bundle.arcs]
            bundle.number = numbers[0]
            self._sending.append(bundle)
        bundle.number += 1
        return bundle.number

    def leave_out(self, receiver: str, sq: str, count: int) -> None:
        """Count tokens of an SQ that were not sent to one of their receivers; they have their numbers."""
        by_sq = self.left_out.setdefault(receiver, {})
        by_sq[sq] = by_sq.get(sq, 0) + count

    @property
    def sent(self) -> dict[str, int]:
        """Arc to the number of the last token sent on it."""
        self._settle_sent()
        return self._sent

    def _settle_sent(self) -> None:
        for bundle in self._sending:
            self._sent.update(dict.fromkeys(bundle.arcs, bundle.number))
            bundle.number = -1
        self._sending.clear()

    # Incoming tokens.

    def receive(self, arc: str, number: int) -> None:
        """Count a token that came on an arc; a gap before it is counted as lost, and no more if it comes late."""
        if self._receiving:
            self._settle_received()
        numbers = self._numbers
        # Tokens from before this ensemble took part were not for it.
        ahead = number - numbers.setdefault(arc, number - 1)
        if ahead > 1:
            gap = range(number - min(ahead - 1, LEAP), number)
            self._keep_gaps(arc, [*self._gaps.get(arc, ()), gap])
            self._lost(arc, len(gap))
        if ahead > 0:
            numbers[arc] = number
        elif ahead < -LEAP:
            numbers[arc] = number
            self._gaps.pop(arc, None)
        elif arc in self._gaps:
            self._close(arc, number)

    def _close(self, arc: str, number: int) -> None:
        """A token came after later ones: it does not count as lost any more."""
        gaps = self._gaps[arc]
        for at, gap in enumerate(gaps):
            if number in gap:
                rest = filter(None, (range(gap.start, number), range(number + 1, gap.stop)))
                self._keep_gaps(arc, [*gaps[:at], *rest, *gaps[at + 1 :]])
                self._lost(arc, -1)
                return

    def _keep_gaps(self, arc: str, gaps: list[range]) -> None:
        self._gaps[arc] = gaps[-GAPS_KEPT:]

    def is_new(self, arc: str, number: int) -> bool:
        """True if a token of this number has not been counted on an arc, as far as is known."""
        return number > self.numbers.get(arc, 0) or any(number in gap for gap in self._gaps.get(arc, ()))

    def receive_together(self, bundle: ArcBundle, numbers: Numbers) -> None:
        """Count a token that came on each arc of a bundle."""
        if isinstance(numbers, list):
            for arc, number in zip(bundle.arcs, numbers, strict=True):
                self.receive(arc, number)
            return
        if bundle.number < 0 or bundle.number != numbers - 1:
            for arc in bundle.arcs:
                self.receive(arc, numbers)
            if all(self._numbers[arc] == numbers for arc in bundle.arcs):
                bundle.number = numbers
                self._receiving.append(bundle)
            return
        bundle.number = numbers

    @property
    def numbers(self) -> dict[str, int]:
        """Arc to the number of the last token that came on it."""
        self._settle_received()
        return self._numbers

    def _settle_received(self) -> None:
        for bundle in self._receiving:
            self._numbers.update(dict.fromkeys(bundle.arcs, bundle.number))
            bundle.number = -1
        self._receiving.clear()

    # Instances that move.

    def take_over(self, sent: dict[str, int], received: dict[str, int]) -> None:
        """Count on from the former host of instances that came, on arcs that no other SQ here uses."""
        self.sent.update(sent)
        self.numbers.update(received)
        for arc in received:
            self._gaps.pop(arc, None)

    def renew(self, sqs: Collection[str]) -> None:
        """SQs have been placed anew: their successors count from where they begin."""
        for arc in [arc for arc in self.numbers if arc.rpartition("/")[0] in sqs]:
            del self._numbers[arc]
            self._gaps.pop(arc, None)


class ContextArcs(ArcNumbers):
    """The same for one context on one ensemble, also while its SQs come and leave.

    Args:
        context: as it is wired here.
        lost: as in `ArcNumbers`.

    Attributes:
        begun: its start tick has come.
        came: messages with tokens that came.
    """

    def __init__(self, context: Context, lost: Callable[[str, int], None]) -> None:
        super().__init__(lost, context.incoming)
        self.context = context
        self.begun = False
        self.came = 0
        self.took: dict[str, dict[str, int]] = {}  # by arc and SQ: the last token that it took before it came here

    def come(
        self,
        arrived: Collection[str],
        states: Mapping[str, InstanceState],
        renewed: Collection[str],
        far: Mapping[str, int],
    ) -> None:
        """Instances have come: they count on where they were, and tokens that they took there pass them by here.

        Args:
            arrived: their SQs. Tokens of an instance that was here long ago say nothing of those of this one.
            states: theirs, by SQ; one without begins anew.
            renewed: SQs that were placed anew together with them: their tokens from before are stale anyway.
            far: arc to the number of tokens its sender had sent when asked; without arcs whose sender was not asked, as
                after a loss, or did not answer.
        """
        here = self.context.incoming
        for arc in [arc for arc in self.sent if arc.rpartition("/")[0] in arrived]:
            del self._sent[arc]
        sent: dict[str, int] = {}
        passed: dict[str, int] = {}
        for sq, state in states.items():
            sent |= state.sent
            for arc, number in state.received.items():
                destinations = here.get(arc, ())
                if destinations and all(sync.sq.name in states for sync, _ in destinations):
                    passed[arc] = min(number, passed.get(arc, number))
                if arc.rpartition("/")[0] not in renewed:
                    self.took.setdefault(arc, {})[sq] = number
        # Where no token was sent yet, the first token is the first. Of other arcs it is not known: they count from the
        # token that comes first.
        first = [arc for arc in here if arc not in self.numbers and far.get(arc) == 0]
        passed = {**dict.fromkeys(first, 0), **passed}
        self.take_over(sent, passed)

    def renew(self, sqs: Collection[str]) -> None:
        """SQs have been placed anew: their tokens are counted from where they begin."""
        super().renew(sqs)
        for arc in [arc for arc in self.took if arc.rpartition("/")[0] in sqs]:
            del self.took[arc]

    def passed_by(self, arcs: Sequence[str], numbers: Numbers) -> dict[str, set[str]]:
        """By arc, the SQs that took the token of this number before they came here."""
        each = numbers if isinstance(numbers, list) else [numbers] * len(arcs)
        found = {}
        for arc, number in zip(arcs, each, strict=True):
            took = self.took.get(arc)
            if took is not None:
                sqs = {sq for sq, last in took.items() if number <= last}
                if sqs:
                    found[arc] = sqs
                else:
                    del self.took[arc]
        return found

    def settle(self) -> None:
        """SQs have come and are wired: their tokens count only on arcs that still lead here from elsewhere."""
        for arc in [arc for arc in self.took if arc not in self.context.incoming]:
            del self.took[arc]

    @property
    def received(self) -> dict[str, int]:
        """The numbers of the arcs that lead to an SQ here. Of others the new host of their SQs tells."""
        incoming, here = self.context.incoming, self.context.syncs
        arcs = {arc for arc, to in incoming.items() if any(sync.sq.name in here for sync, _ in to)}
        return {arc: number for arc, number in self.numbers.items() if arc in arcs}

    def lacks(self, sent: Mapping[str, int]) -> bool:
        """True if tokens up to these numbers have still to come on arcs that lead here."""
        numbers, incoming = self.numbers, self.context.incoming
        return any(arc in incoming and numbers.get(arc, count) < count for arc, count in sent.items())

    def sent_on(self, arcs: Iterable[str]) -> dict[str, int]:
        """Arc to the number of the last token sent on it, of those whose SQ is here.

        How far an SQ is that is still to come is not known yet. Zero would count all before as lost.
        """
        sent, here = self.sent, self.context.syncs
        return {arc: sent.get(arc, 0) for arc in arcs if arc.rpartition("/")[0] in here}

    def of_instances(self, sqs: Iterable[str]) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
        """By SQ: the tokens sent from here, and the number of the last token taken on each arc to it."""
        prepared = self.context.prepared
        by_name = prepared.wiring.by_name
        found: dict[str, tuple[dict[str, int], dict[str, int]]] = {name: ({}, {}) for name in sqs}
        sent = self.sent
        for arc, count in sent.items():
            found.get(arc.rpartition("/")[0], ({}, {}))[0][arc] = count
        for counted in (sent, self.numbers):
            for name, number in counted.items():
                sq, _, index = name.rpartition("/")
                # The sending SQ is here, so its tokens were taken here too.
                if (prepared.host_of[sq] == prepared.here) == (counted is sent):
                    for to in by_name[sq].arcs[int(index)].to:
                        if to.sq in found:
                            found[to.sq][1][name] = number
        return found
