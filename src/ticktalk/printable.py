"""Text from outside, made fit to be shown: errors, prints, names, reprs, reasons.

A participant, a program or a file decides what stands in such text. Unchanged it could steer a terminal by escape
sequences, overwrite a line by a carriage return, forge lines of a log, or be 50 MB long. So every edge
at which text becomes a line for people, a log line or a picture passes it through here. The result is for the eye:
it cannot be turned back.
"""

from __future__ import annotations

import logging
import re
import unicodedata

LINE = 2_000
"""Characters of a line that are shown."""

BLOCK = 20_000
"""Characters of a text of several lines that are shown, such as a traceback."""

_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"})
"""Categories of Unicode that are escaped: control, format (which reorders text), surrogates, line separators, and what
is no character: XML cannot hold it."""

_JOINERS = "\u200c\u200d"
"""Format characters that stay: they are part of words and of emoji."""


def line(text: object, limit: int = LINE) -> str:
    """`text` as one line of bounded length: characters that steer a terminal or end the line are escaped."""
    return _escaped(bounded(str(text), limit), "\t")


def block(text: object, limit: int = BLOCK) -> str:
    """`text` as lines: as `line`, but line ends stay; of a long one the middle is left out."""
    whole = str(text)
    if len(whole) > limit:
        head, tail = whole[: limit // 2], whole[-(limit // 2) :]
        whole = f"{head}\n... ({len(whole) - len(head) - len(tail)} characters left out) ...\n{tail}"
    return _escaped(whole, "\t\n")


def joined(text: str) -> str:
    """The lines of a text on one; how far they are indented is left out."""
    return re.sub(r"\s*\n\s*", " ", text) if "\n" in text else text


def bounded(text: str, limit: int = LINE) -> str:
    """`text`, or its beginning and how much more there was; nothing in it is escaped."""
    return text if len(text) <= limit else text[:limit] + more(len(text) - limit)


def more(characters: int) -> str:
    """The mark in place of so many characters."""
    return f"... ({characters} more characters)"


def escaped(text: str) -> str:
    """`text` as one line of any length: a row of JSON, which must stay whole."""
    return _escaped(text, "\t")


def _escaped(text: str, kept: str) -> str:
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() or char in kept else _escape(char) for char in text])


def _escape(char: str) -> str:
    if char in _JOINERS or unicodedata.category(char) not in _HIDDEN:
        return char
    return char.encode("unicode_escape").decode("ascii")


class LogFormatter(logging.Formatter):
    """Formats log records as text for people: further lines of a record are indented, so that none looks like one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return block(super().format(record)).replace("\n", "\n    ")


def without_password(address: str) -> str:
    """A web address without the user and the password that may be in it."""
    return re.sub(r"^(\w+://)?.*@", r"\1", address)
