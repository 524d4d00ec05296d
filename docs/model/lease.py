"""The protocol of leases, moves and generations as a small model, looked through exhaustively.

One SQ, one manager, two ensembles: 0 may be cut off, stand still and be slow, 1 is always heard. `python
docs/model/lease.py` visits every state that any order of steps leads to. See `docs/model/README.md`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

NOBODY = 2
"""In place of an ensemble (0 or 1): the SQ waits, or is being handed over."""


class Rules(NamedTuple):
    """The rules that keep the SQ in one place; each can be taken back. Times are in units of a heartbeat.

    Attributes:
        lease: after so long without the manager an ensemble holds the SQ.
        patience: after more than that the manager places it elsewhere.
        from_sending: the lease counts from the sending of the heartbeat that was answered, not from its answer.
        first: after a standstill the lease is looked at before anything else.
        in_order: what was held goes on only after all that the manager had sent before its answer.
        renews: an SQ that is placed anew gets a new generation.
        kept: a control message that is lost on its way is sent again.
        generations: further generations that are looked at.
    """

    lease: int = 3
    patience: int = 4
    from_sending: bool = True
    first: bool = True
    in_order: bool = True
    renews: bool = True
    kept: bool = True
    generations: int = 2


class Ensemble(NamedTuple):
    """An ensemble, and all that is between it and the manager.

    Attributes:
        has: the generation of the SQ that it has; -1: none.
        held: it holds it.
        still: its process stands still.
        since: units since the sending of the last answered heartbeat.
        silence: units since the manager heard it.
        known: the manager does not take it for lost.
        ping, pong: units since the sending of a heartbeat that is under way, or whose answer is; -1: none.
        behind: control messages under way to it that were sent before that answer.
        orders: those under way to it: `(generation, host)`; or `(-1, -1)`: hand the SQ over.
        handed: the generation of the SQ that it has handed over, on its way to the manager; -1: none.
    """

    has: int = -1
    held: bool = False
    still: bool = False
    since: int = 0
    silence: int = 0
    known: bool = True
    ping: int = -1
    pong: int = -1
    behind: int = 0
    orders: tuple[tuple[int, int], ...] = ()
    handed: int = -1


class State(NamedTuple):
    """The SQ's host and generation as the manager knows them, whether a move is under way, and both ensembles."""

    host: int
    generation: int
    moves: bool
    both: tuple[Ensemble, Ensemble]


HAND_OVER = (-1, -1)
FIRST = State(0, 0, False, (Ensemble(has=0), Ensemble()))

ORDERS = 2
"""Control messages under way to one ensemble at a time."""


def steps(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """What may happen next, and the state after it."""
    yield from _time(state, rules)
    for e in (0, 1):
        yield from _of_manager(state, e, rules)
        yield from _of_ensemble(state, e, rules)


def _with(state: State, e: int, **changes: object) -> State:
    both = list(state.both)
    both[e] = both[e]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(both=(both[0], both[1]))


def _time(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """A unit passes, unless an ensemble that runs has first to hold."""
    if any(not one.still and not one.held and one.since >= rules.lease for one in state.both):
        return
    one, lease, patience = state.both[0], rules.lease, rules.patience + 1
    ages = {name: min(age + 1, lease) for name in ("ping", "pong") if (age := getattr(one, name)) >= 0}
    ages |= {"since": min(one.since + 1, lease), "silence": min(one.silence + 1, patience)}
    yield "a unit passes", _with(state, 0, **ages)


def _of_manager(state: State, e: int, rules: Rules) -> Iterator[tuple[str, State]]:
    one, other = state.both[e], state.both[1 - e]
    if one.ping >= 0 and one.pong < 0 and len(one.orders) < ORDERS:
        back = _with(state, e, silence=0, known=True, ping=-1)
        if not one.known:
            # It may hold what lives elsewhere by now: it is told where that is.
            back = _with(back, e, orders=(*one.orders, (state.generation, state.host)))
        told = back.both[e]
        if generation_is_seen(back, rules):
            yield f"the manager answers {e}", _with(back, e, pong=one.ping, behind=len(told.orders))
    if one.known and one.silence > rules.patience and other.known:
        lost = _with(state, e, known=False)
        if state.host == e or (state.moves and state.host == NOBODY):
            if len(other.orders) == ORDERS:
                return
            lost = lost._replace(host=1 - e, generation=state.generation + rules.renews, moves=False)
            lost = _with(lost, 1 - e, orders=(*other.orders, (lost.generation, 1 - e)))
        if generation_is_seen(lost, rules):
            yield f"the manager takes {e} for lost", lost
    if state.host == e and not state.moves and one.known and other.known and len(one.orders) < ORDERS:
        yield f"a move from {e} begins", _with(state, e, orders=(*one.orders, HAND_OVER))._replace(moves=True)
    if one.handed >= 0:
        came = _with(state, e, handed=-1)
        if not state.moves or one.handed != state.generation or not one.known:
            yield f"the manager is handed over what was lost from {e}", came
        elif other.known and len(other.orders) < ORDERS:
            orders = (*other.orders, (state.generation, 1 - e))
            yield (
                f"the manager places what {e} handed over",
                _with(came, 1 - e, orders=orders)._replace(host=1 - e, moves=False),
            )
        elif not other.known and len(one.orders) < ORDERS:
            orders = (*one.orders, (state.generation + rules.renews, e))
            again = _with(came, e, orders=orders)._replace(moves=False, generation=state.generation + rules.renews)
            if generation_is_seen(again, rules):
                yield f"what {e} handed over goes back", again


def generation_is_seen(state: State, rules: Rules) -> bool:
    """The model is bounded by the number of generations."""
    return state.generation <= rules.generations


def _of_ensemble(state: State, e: int, rules: Rules) -> Iterator[tuple[str, State]]:
    one = state.both[e]
    yield from _of_orders(state, e, one)
    if e == 1:
        return
    for name in ("ping", "pong"):
        if getattr(one, name) >= 0:
            yield f"a {name} of {e} is lost", _with(state, e, **{name: -1}, behind=0)
    if one.orders and not rules.kept:
        yield f"an order for {e} is lost", _with(state, e, orders=one.orders[1:], behind=max(0, one.behind - 1))
    if one.still:
        goes_on = {"still": False}
        if rules.first and one.since >= rules.lease:
            goes_on["held"] = True
        yield f"{e} goes on", _with(state, e, **goes_on)
        return
    yield f"{e} stands still", _with(state, e, still=True)
    if one.ping < 0 and one.pong < 0:
        yield f"{e} sends a heartbeat", _with(state, e, ping=0)
    if not one.held and one.since >= rules.lease:
        yield f"{e} holds", _with(state, e, held=True)
    if one.pong >= 0:
        age = one.pong if rules.from_sending else 0
        if age >= rules.lease:
            yield f"{e} hears of long ago", _with(state, e, pong=-1, behind=0)
        elif not one.held or not one.behind or not rules.in_order:
            heard = {"pong": -1, "behind": 0, "since": min(one.since, age), "held": False}
            yield f"{e} hears the manager", _with(state, e, **heard)


def _of_orders(state: State, e: int, one: Ensemble) -> Iterator[tuple[str, State]]:
    if one.orders and not one.still:
        order, rest = one.orders[0], {"orders": one.orders[1:], "behind": max(0, one.behind - 1)}
        if order != HAND_OVER:
            generation, host = order
            has = max(generation, one.has) if host == e else -1
            yield f"{e} takes a placement", _with(state, e, has=has, **rest)
        elif one.handed < 0:
            yield f"{e} hands over", _with(state, e, has=-1, handed=one.has, **rest)


def runners(state: State) -> list[int]:
    """The ensembles where the SQ may fire now."""
    return [e for e, one in enumerate(state.both) if one.has >= 0 and not one.held and not one.still]


def is_good(state: State) -> bool:
    """The SQ runs where the manager has placed it, and nothing is under way."""
    quiet = not any(one.orders or one.handed >= 0 for one in state.both)
    return quiet and not state.moves and runners(state) == [state.host] and all(one.known for one in state.both)


class Broken(Exception):
    """An invariant does not hold; `way`: the steps that lead there."""

    def __init__(self, what: str, way: list[str]) -> None:
        super().__init__("\n".join([f"{what}:", *(f"  {step}" for step in way)]))
        self.way = way


def look(rules: Rules = Rules(), limit: int = 5_000_000) -> int:
    """Visit all states; their number.

    Raises:
        Broken: the SQ runs twice, or a state has no way to one in which it runs.
    """
    before: dict[State, tuple[State, str] | None] = {FIRST: None}
    ahead: dict[State, list[State]] = {}
    waits = deque([FIRST])
    while waits:
        state = waits.popleft()
        after = ahead[state] = []
        for step, to in steps(state, rules):
            after.append(to)
            if to in before:
                continue
            before[to] = (state, step)
            if len(runners(to)) > 1:
                raise Broken("the SQ runs on two ensembles", _way(before, to))
            if to.both[0].has == to.both[1].has >= 0:
                raise Broken("two instances cannot be told apart", _way(before, to))
            waits.append(to)
            assert len(before) < limit
    stuck = before.keys() - _leading_to(ahead, [state for state in before if is_good(state)])
    at_bound = {state for state in stuck if state.generation >= rules.generations and rules.renews}
    wedged = [state for state in before if state in stuck and state not in at_bound]
    if wedged:
        raise Broken("the SQ never runs again", _way(before, wedged[0]))
    return len(before)


def _way(before: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    way: list[str] = []
    while (found := before[state]) is not None:
        state, step = found
        way.append(step)
    return way[::-1]


def _leading_to(ahead: dict[State, list[State]], good: list[State]) -> set[State]:
    back: dict[State, list[State]] = {}
    for state, after in ahead.items():
        for to in after:
            back.setdefault(to, []).append(state)
    found, waits = set(good), list(good)
    while waits:
        for state in back.get(waits.pop(), ()):
            if state not in found:
                found.add(state)
                waits.append(state)
    return found


if __name__ == "__main__":
    print(f"{look()} states: the SQ runs on one ensemble at most, and can always run again")
