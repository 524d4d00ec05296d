"""The votes for an ensemble that does not hear the manager, as a small model, looked through exhaustively.

An ensemble that has not heard the manager since its lease ended goes on while more than half of the others say that
they do not hear it. The manager places its SQs elsewhere when at least half of the others contradict. More than half
and at least half have one in common. So it is enough that no other is counted by both: `python docs/model/votes.py`
visits every state of one other ensemble. See `docs/model/README.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple


class Rules(NamedTuple):
    """The rules by which an answer is counted; each can be taken back. Times are in units of half a vote's time.

    Attributes:
        lease: after so long without the manager the ensemble goes on only with votes.
        patience: after so long without the ensemble the manager takes it for lost.
        vote: for so long a vote counts.
        from_question: it counts from the question on, not from the arrival of its answer.
        waits: the manager counts what another knows only so long after it knew it.
        later: another that heard the manager more than so much later than the ensemble does not vote for it.
        known: the manager counts those that are known to have heard it so much later.
        left: it waits as long before it counts one that has left.
    """

    lease: int = 4
    patience: int = 5
    vote: int = 2
    from_question: bool = True
    waits: bool = True
    later: int = 2
    known: int = 2
    left: bool = True


class State(NamedTuple):
    """Ages in units; -1: there is none.

    Attributes:
        silence: since the ensemble and the manager heard one another last.
        heard: since the other heard the manager last.
        contradicts: since the manager has known that the other heard it so much later.
        way: since the answer was given that is under way to the ensemble.
        way_silence: for how long the other had not heard the manager when it gave that answer.
        asked: since the question whose answer the ensemble has.
        said: since the other had heard the manager, as that answer says.
        ended: since the other has left, as the manager has heard.
        placed: the manager has placed the SQs elsewhere.
    """

    silence: int = 0
    heard: int = 0
    contradicts: int = -1
    way: int = -1
    way_silence: int = -1
    asked: int = -1
    said: int = -1
    ended: int = -1
    placed: bool = False


HORIZON = 10
"""Units of silence that are looked at."""


def counts(state: State, rules: Rules) -> bool:
    """The ensemble counts the vote of the other."""
    return 0 <= state.asked < rules.vote and state.silence - state.said <= rules.later


def runs(state: State, rules: Rules) -> bool:
    """The ensemble goes on, if votes like this one are enough."""
    return state.silence < rules.lease or counts(state, rules)


def steps(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """What may happen next, and the state after it."""

    def older(age: int, most: int) -> int:
        return age if age < 0 else min(age + 1, most)

    if state.silence < HORIZON:
        yield (
            "a unit passes",
            State(
                state.silence + 1,
                min(state.heard + 1, HORIZON),
                older(state.contradicts, rules.vote),
                older(state.way, rules.vote),
                state.way_silence,
                older(state.asked, rules.vote),
                older(state.said, HORIZON),
                older(state.ended, rules.vote),
                state.placed,
            ),
        )
    if state.silence < rules.lease and not state.placed:
        yield "the ensemble hears the manager", state._replace(silence=0, contradicts=-1)
    if state.heard and state.ended < 0:
        later = state.silence > rules.known and state.contradicts < 0
        yield "the other hears the manager", state._replace(heard=0, contradicts=0 if later else state.contradicts)
    if state.ended < 0:
        yield "the other answers a question", state._replace(way=0, way_silence=state.heard)
        yield "the other leaves", state._replace(ended=0)
    if state.way >= 0:
        asked = state.way if rules.from_question else 0
        yield "its answer comes", state._replace(way=-1, way_silence=-1, asked=asked, said=state.way_silence)
    known = state.contradicts >= (rules.vote if rules.waits else 0)
    known |= state.ended >= (rules.vote if rules.left else 0)
    if not state.placed and known and state.silence >= rules.patience:
        yield "the manager places the SQs elsewhere", state._replace(placed=True)


class Broken(Exception):
    """The SQs run twice; `way`: the steps that lead there."""

    def __init__(self, what: str, way: list[str]) -> None:
        super().__init__("\n".join([f"{what}:", *(f"  {step}" for step in way)]))
        self.way = way


def look(rules: Rules = Rules()) -> int:
    """Visit all states; their number.

    Raises:
        Broken: the SQs run on the ensemble, and where the manager has placed them.
    """
    first = State()
    before: dict[State, tuple[State, str] | None] = {first: None}
    waits = [first]
    while waits:
        state = waits.pop()
        for step, to in steps(state, rules):
            if to in before:
                continue
            before[to] = (state, step)
            if to.placed and runs(to, rules):
                way, at = [step], state
                while (found := before[at]) is not None:
                    at, step = found
                    way.append(step)
                raise Broken("the SQs run twice", way[::-1])
            waits.append(to)
    return len(before)


def share_one(others: int) -> bool:
    """Any more than half of the others, and any at least half of them, have one in common."""
    names = range(others)
    more = [{*some} for size in range(others + 1) if 2 * size > others for some in combinations(names, size)]
    half = [{*some} for size in range(others + 1) if 2 * size >= others for some in combinations(names, size)]
    return all(one & other for one in more for other in half)


if __name__ == "__main__":
    assert all(share_one(others) for others in range(1, 8))
    print(f"{look()} states: no vote is counted by both")
