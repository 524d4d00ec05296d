"""Questions to the senders of SQs that will come: how many tokens have they sent so far (`moves`)?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ticktalk.messages import NetMsg
from ticktalk.payloads import HowFar, SoFar

Numbers = dict[int, dict[str, int]]
"""By context and arc, the number of a token."""

Send = Callable[[str, Any, object], None]
"""`(ensemble, kind, payload)`: sends a control message."""


class _Question(NamedTuple):
    """A question that waits for answers: by ensemble, the arcs of those that are missing; what came; what is next."""

    number: int
    missing: dict[str, list[str]]
    sent: Numbers
    then: Callable[[Numbers], None]


class AskedSenders:
    """The questions of one ensemble, one for each graph at a time.

    Args:
        name: the ensemble's.
        send: sends a control message.
        at: `(tick, call)`: calls `call()` at a root tick.
        come_by: the root tick by which each token sent to here before now, or (True) each answer, has come, or is lost.
    """

    def __init__(
        self, name: str, send: Send, at: Callable[[int, Callable[[], None]], None], come_by: Callable[[bool], int]
    ) -> None:
        self._name, self._send, self._at, self._come_by = name, send, at, come_by
        self._questions: dict[str, _Question] = {}
        self._asked = 0

    def ask(self, graph: str, arcs: Mapping[str, list[str]], then: Callable[[Numbers], None]) -> None:
        """Ask ensembles for the numbers on their arcs; call `then` with them when all have answered, or in some time.

        From when they answer on, the receiver gets later tokens, too.
        """
        self._asked += 1
        question = self._questions[graph] = _Question(self._asked, dict(arcs), {}, then)
        self._send_out(graph, question)
        if question.missing:
            self._at(self._come_by(True), lambda: self._end(graph, question))  # one of them may be gone
        else:
            self._end(graph, question)

    def hurry(self, graph: str) -> None:
        """Another job waits for the question of a graph, if there is one: a sender was lost, or may have come back.

        One that came back has not heard the question, so it is asked again.
        """
        question = self._questions.get(graph)
        if question is not None:
            self._send_out(graph, question)
            self._at(self._come_by(False), lambda: self._end(graph, question))

    def take(self, answer: SoFar) -> None:
        """Take the answer of a sender; one to an earlier question is out of date."""
        question = self._questions.get(answer.graph)
        if question is None or question.number != answer.number:
            return
        asked = question.missing.pop(answer.name, ())
        for number, counts in answer.sent.items():
            question.sent.setdefault(number, {}).update({arc: counts[arc] for arc in asked if arc in counts})
        if not question.missing:
            self._end(answer.graph, question)

    def forget(self, graph: str) -> None:
        """A graph was stopped."""
        self._questions.pop(graph, None)

    def _send_out(self, graph: str, question: _Question) -> None:
        for host, arcs in list(question.missing.items()):  # this ensemble may be among them, and answers at once
            self._send(host, NetMsg.HOW_FAR, HowFar(self._name, graph, arcs, question.number))

    def _end(self, graph: str, question: _Question) -> None:
        if self._questions.get(graph) is question:
            del self._questions[graph]
            question.then(question.sent)
