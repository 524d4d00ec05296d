"""The sentences on the manager's silences: few for many short ones, and each that lasts."""

from __future__ import annotations

import random

import pytest

from ticktalk.physical.told_silences import LASTS, SPAN, ToldSilences

MS, S = 1_000, 1_000_000
NOT = "the manager is not heard; suspended, because others may host them: f-1"
AGAIN = "the manager is heard again; what was suspended and is still this ensemble's goes on"
BEAT = 500 * MS


class Told:
    """An ensemble whose manager is silent at times; the sentences, with their times."""

    def __init__(self) -> None:
        self.now = 5 * S
        self.lines: list[tuple[int, str]] = []
        self.silences = ToldSilences(lambda text: self.lines.append((self.now, text)))

    def passes(self, span: int) -> None:
        until = self.now + span
        while self.now + BEAT < until:
            self.now += BEAT
            self.silences.look(self.now)
        self.now = until

    def silent(self, span: int, sqs: tuple[str, ...] = ("f-1",)) -> None:
        self.silences.began(self.now, sqs)
        self.passes(span)
        self.silences.ended(self.now)

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


def test_silences_that_come_rarely_are_all_told() -> None:
    told = Told()
    for _ in range(3):
        told.silent(400 * MS)
        told.passes(SPAN)
    assert told.texts == [NOT, AGAIN] * 3


def test_of_many_within_a_minute_the_first_is_told_and_how_many_more() -> None:
    told = Told()
    for _ in range(170):  # ten minutes
        told.silent(600 * MS)
        told.passes(2_900 * MS)
    told.passes(SPAN)
    assert len(told.lines) <= 3 * 11
    assert told.texts[:3] == [
        NOT,
        AGAIN,
        "within a minute the manager was not heard 17 more times, each time for less than 3 s: a host is overloaded,"
        " or the link is bad",
    ]


def test_one_more_is_told_as_one() -> None:
    told = Told()
    told.silent(S)
    told.silent(S)
    told.passes(SPAN)
    assert "was not heard once more, each time" in told.texts[-1] and len(told.lines) == 3
    told.passes(10 * SPAN)
    assert len(told.lines) == 3, "it is told once"


def test_a_silence_that_lasts_is_told_while_it_lasts() -> None:
    told = Told()
    told.silent(S)
    began = told.now
    told.silences.began(began, ())
    told.passes(SPAN // 2)
    assert told.lines[2:] == [(told.lines[2][0], "the manager is not heard")]
    assert LASTS <= told.lines[2][0] - began <= LASTS + BEAT
    told.silences.ended(told.now)
    assert told.texts[3:] == [AGAIN]


def test_an_sq_that_is_suspended_for_the_first_time_is_told_at_once() -> None:
    told = Told()
    for sqs in ((), ("f-1",), ("f-1",), ("f-1", "g-1"), ("g-1",)):
        told.silent(S, sqs)
    named = [text.partition("host them: ")[2] for text in told.texts if text != AGAIN]
    assert named == ["", "f-1", "f-1, g-1"]


def test_a_join_ends_a_silence() -> None:
    told = Told()
    told.silences.began(told.now, ())
    told.silences.joined()
    told.passes(SPAN)
    told.silences.ended(told.now)
    assert told.texts == ["the manager is not heard"], "nothing was suspended any more"


@pytest.mark.parametrize("seed", range(30))
def test_each_sentence_has_its_counterpart_and_no_silence_is_forgotten(seed: int) -> None:
    choice, told = random.Random(seed), Told()
    silences = 0
    for _ in range(choice.randint(1, 60)):
        told.silent(choice.choice([choice.randrange(S), choice.randrange(3 * LASTS)]))
        told.passes(choice.choice([choice.randrange(S), choice.randrange(SPAN)]))
        silences += 1
    told.passes(2 * SPAN)
    pairs = [text for text in told.texts if text in (NOT, AGAIN)]
    assert pairs == [NOT, AGAIN] * (len(pairs) // 2)
    more = [text.partition("not heard ")[2].split()[0] for text in told.texts if text.startswith("within")]
    assert len(pairs) // 2 + sum(1 if each == "once" else int(each) for each in more) == silences
