"""The results of SQs on tokens, and the ticks that are known: instructions run on stand-ins for values.

An instruction says itself how many results it gives, and on which intervals. Whether it gives one may depend on the
truth of a value, as with `IF`; then it is taken to give one. A body on full tokens is taken to give one on the interval
of its inputs. Where others come up, the plan is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from ticktalk.accelerate.events import COMPUTED, Part, PlanEvent, Result, StandIn, Unchanging, Undecided, Unsettled
from ticktalk.engine.execution import unchangeable
from ticktalk.graph.constants import decode_constant
from ticktalk.instructions import INSTRUCTIONS
from ticktalk.time import Tick

LATER = 60_000_007
"""Ticks: what is that much more, where all is so much later, is a tick."""

GIVE_TICKS = frozenset({"ADD", "SUB", "READ_TTCLOCK", "TIME_TOKEN"})
"""Instructions whose numbers are taken for ticks, where they are under way already."""

Token = tuple[Tick, Tick, StandIn]


def run_on_tokens(
    event: PlanEvent, place: int, tokens: Sequence[Token], gives: bool, truths: dict[int, bool] | None
) -> list[Result]:
    """The results of an event on tokens, if it `gives` those that it may.

    Args:
        truths: by event whose value is a condition, its truth, which is the same for all; None: each is taken to give.

    Raises:
        Unsettled: on which intervals depends on values.
    """
    part, now = event.part, event.tick
    if part.sq.body:
        return [Result(StandIn(place, 0), event.start, event.stop, None)] if gives else []
    try:
        try:
            results = _results(part, tokens, now, place, None)
            return results if gives else []
        except Undecided as reason:
            (event.asked,) = reason.args
        of_truth = {truth: _results(part, tokens, now, place, (event.asked, truth)) for truth in (True, False)}
    except Exception as error:
        raise Unsettled(f"the intervals of {part.sq.name} depend on values: {error}") from None
    truth = bool(of_truth[True]) is gives
    if truths is not None and event.asked.event >= 0:
        truth = truths.setdefault(event.asked.event, truth)
    if of_truth[truth] and not gives:
        raise Unsettled(f"the condition of {part.sq.name} is not the same for all")
    return of_truth[truth]


def _results(
    part: Part, tokens: Sequence[Token], now: int, place: int, when: tuple[StandIn, bool] | None
) -> list[Result]:
    execute, memory = part.context.executes[part.sq.name], part.twin.memory if part.keeps else {}
    assert execute.setting is not None
    made = []
    as_they_are = part.keeps or INSTRUCTIONS[part.sq.function].passes
    for ticks in (0, LATER)[: 1 if part.keeps else 2]:
        values = [
            (begin + ticks, end + ticks, when[1] if when and value is when[0] else _moved(value, ticks, as_they_are))
            for begin, end, value in tokens
        ]
        tally = partial(part.twin.counters.add, part.sq.name) if part.keeps and not part.called else _nothing
        setting = msgspec.structs.replace(execute.setting, now=now + ticks, state=memory, tally=tally)
        made.append(list(execute.computed(setting, tuple(values))))
    results, later = [], 0 if part.keeps else LATER
    for wire, ((value, begin, end), (moved, *ends)) in enumerate(zip(made[0], made[-1], strict=True)):
        if ends != [begin + later, end + later]:
            raise Unsettled("an end does not move with time")
        tick = _tick(value, moved)
        of: StandIn | Unchanging | None = None
        if tick is not None:
            of = StandIn(-1, -1, tick)
        elif value is COMPUTED:
            part.called = True
        elif type(value) is StandIn:
            of, tick = value, value.tick
        elif unchangeable(value) and value is moved:
            of = Unchanging(value)
        results.append(Result(StandIn(place, wire, tick), begin, end, of, when))
    return results


def _moved(value: StandIn, ticks: int, as_it_is: bool) -> Any:
    """The argument of an instruction for a value; a tick stays a stand-in where it is not computed with."""
    return value if value.tick is None or as_it_is else value.tick + ticks


def _tick(value: Any, later: Any) -> int | None:
    """The tick that a value is, if it is one."""
    return value if type(value) is type(later) is int and later - value == LATER else None


def known_tick(part: Part, inputs: Sequence[StandIn]) -> int | None:
    """The tick that an instruction gives for some values: one that is so much later where they are.

    Only of sums and differences, and of what is passed on: `%` or `MIN` may do so for a while.
    """
    sq = part.sq
    if sq.body or not (sq.function in GIVE_TICKS or INSTRUCTIONS[sq.function].passes):
        return None
    if any(value.tick is None for value in inputs):
        return None
    compute: Callable[..., Any] = INSTRUCTIONS[sq.function].compute
    results = []
    for ticks in (0, LATER):
        given = iter([value.tick + ticks for value in inputs])  # type: ignore[operator]
        constants = [port.constant for port in sq.ports if not port.hidden]
        try:
            values = [next(given) if constant is None else decode_constant(constant[0]) for constant in constants]
            results.append(compute(*values))
        except Exception:
            return None
    return _tick(*results)


def _nothing(kind: str) -> None:
    pass
