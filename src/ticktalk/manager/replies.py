"""Replies to requests: the requester gets the result or the error, whenever the rule that gives it runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def answer(reply: Future[Result], act: Callable[[], Result]) -> None:
    """Give a requester the result of a call, or the error that it raises; one that has its reply gets no other."""
    try:
        result = act()
    except Exception as error:  # a defect of ours, too: the requester waits for a reply
        if not reply.done():
            reply.set_exception(error)
    else:
        if not reply.done():
            reply.set_result(result)
