"""Printed text is plain: escaped, bounded, with nothing that a terminal or a log would take for a command."""

from __future__ import annotations

import logging

import pytest

from ticktalk.manager.events import Event, Joined, LeftOut, Refused
from ticktalk.payloads import FiringError
from ticktalk.printable import BLOCK, LINE, LogFormatter, block, escaped, line

HOSTILE = "\x1b[2J\x1b]0;title\x07 \r\n2026 INFO forged \x9b31m \u202e evil \u2028 \ud800 \x00 \x08"


@pytest.mark.parametrize("make", [line, block, escaped])
def test_nothing_is_left_that_steers_a_terminal(make) -> None:
    text = make(HOSTILE)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "\\x1b[2J" in text and "\\u202e" in text and "\\ud800" in text
    assert ("\n" in text) == (make is block)
    text.encode("utf-8")


def test_text_of_people_stays_as_it_is() -> None:
    for text in ("[/dev/video0]", "a\tb", "größer - 漢字\u3000かな", "👩\u200d🚒", "\xa0", "[bold]x[/bold] :smile:"):
        assert line(text) == block(text) == text


def test_long_text_is_bounded_and_says_by_how_much() -> None:
    assert line("x" * 50_000_000).endswith(f"... ({50_000_000 - LINE} more characters)")
    assert len(line("x" * 50_000_000)) < LINE + 50
    shown = block("begin " + "\x1b" * 50_000_000 + " end")
    assert shown.startswith("begin ") and shown.endswith(" end") and "characters left out" in shown
    assert len(shown) < 5 * BLOCK


def kinds_of_events() -> list[type[Event]]:
    found, open_ = [], [Event]
    while open_:
        open_ += (kinds := open_.pop().__subclasses__())
        found += kinds
    return found


def test_every_sentence_of_an_event_is_one_line() -> None:
    for kind in kinds_of_events():
        assert "__str__" not in vars(kind), f"{kind.__name__}: a sentence is made in text(), and escaped in one place"
    assert "\n" not in str(Refused("edge", HOSTILE)) and "\x1b" not in str(Refused("edge", HOSTILE))
    assert "\x1b" not in str(Joined("edge", HOSTILE))
    assert len(str(LeftOut("graph", "x" * 1_000_000))) < 2 * LINE


def test_an_error_of_a_firing_is_one_bounded_line() -> None:
    error = FiringError("sq-1", HOSTILE, 0, 1, "file\x1b.py", 3, HOSTILE + "y" * 1_000_000)
    assert "\n" not in str(error) and "\x1b" not in str(error) and len(str(error)) < 2 * LINE


def test_no_log_line_is_forged() -> None:
    record = logging.LogRecord("ticktalk", logging.INFO, "f", 1, "bad: %s", ("one\nticktalk: two\r\x1b[A",), None)
    first, second = LogFormatter("%(name)s: %(message)s").format(record).split("\n")
    assert first == "ticktalk: bad: one" and second == "    ticktalk: two\\r\\x1b[A"
