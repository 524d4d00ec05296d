"""The outcome of a run, and the first difference of another one: an output, a deadline, an assertion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from ticktalk.counters import Counts
from ticktalk.durations import interval_text
from ticktalk.json_text import stable_repr
from ticktalk.payloads import FiringError, OutputToken
from ticktalk.printable import line
from ticktalk.time import Tick

Token = tuple[Tick, Tick, str]
"""The interval of an output token, and its value as text."""

LONGEST = 200
"""Characters of a value that are shown."""


class Outcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        outputs: by SQ, its tokens in the order of their intervals. When they came does not count.
        deadlines: by SQ, deadlines that data did not meet.
        broken: assertions that do not hold, each with its place.
    """

    outputs: dict[str, list[Token]]
    deadlines: dict[str, int]
    broken: list[str]


class FirstDifference(msgspec.Struct, frozen=True):
    """The first thing that is otherwise.

    Attributes:
        how: an output is "changed", "gone" or "new", a "deadline" is missed, an "assertion" does not hold.
        what: a sentence.
    """

    how: Literal["changed", "gone", "new", "deadline", "assertion"]
    what: str


def outcome(
    tokens: Iterable[OutputToken], counters: Counts, errors: Iterable[FiringError], broken: Iterable[str]
) -> Outcome:
    """Of a run's outputs, counters and errors, and what a check of the user's found."""
    outputs: dict[str, list[Token]] = {}
    for token in tokens:
        outputs.setdefault(token.sq, []).append((token.start, token.stop, stable_repr(token.value)))
    for listed in outputs.values():
        listed.sort()
    missed = {sq: kinds.get("plan_b", 0) + kinds.get("missed", 0) for sq, kinds in counters.items()}
    asserted = [str(error) for error in errors if error.exception.partition(":")[0] == "AssertionError"]
    return Outcome(outputs, {sq: count for sq, count in missed.items() if count}, [*asserted, *broken])


def difference(usual: Outcome, there: Outcome, only: Iterable[str] = ()) -> FirstDifference | None:
    """The first difference of a run from the usual one; None: there is none.

    Args:
        usual: with nothing made worse.
        there: the run.
        only: the output SQs that count; none: all.
    """
    if there.broken and not usual.broken:
        return FirstDifference("assertion", there.broken[0])
    names = list(only) or list(dict.fromkeys([*usual.outputs, *there.outputs]))
    each = [_of_output(name, usual.outputs.get(name, []), there.outputs.get(name, [])) for name in names]
    if found := [one for one in each if one is not None]:
        return min(found, key=lambda one: one[0])[1]
    for sq, count in there.deadlines.items():
        if count > usual.deadlines.get(sq, 0):
            more = count - usual.deadlines.get(sq, 0)
            return FirstDifference(
                "deadline", f"{sq}: {more} more deadline{'s' if more > 1 else ''} without data in time"
            )
    return None


def _of_output(name: str, was: list[Token], now: list[Token]) -> tuple[Token, FirstDifference] | None:
    """The earliest difference of an output."""
    if was == now:
        return None
    gone, new = Counter(was) - Counter(now), Counter(now) - Counter(was)
    first = min([*gone, *new])
    interval = first[:2]
    here = f"{name} {interval_text(*(None if abs(tick) == float('inf') else int(tick) for tick in interval))}"
    before = next((token for token in sorted(gone) if token[:2] == interval), None)
    after = next((token for token in sorted(new) if token[:2] == interval), None)
    if before is not None and after is not None:
        return first, FirstDifference("changed", f"{here}: {_shown(before)} becomes {_shown(after)}")
    if before is not None:
        return first, FirstDifference("gone", f"{here}: {_shown(before)} does not come")
    assert after is not None
    return first, FirstDifference("new", f"{here}: {_shown(after)} comes, and did not before")


def _shown(token: Token) -> str:
    text = line(token[2])
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
