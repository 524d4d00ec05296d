"""The firing rules: when an SQ fires, and on which tokens.

Three independent choices make every rule (the documented names are labels for their combinations):

* a port *consumes* (a used token leaves) or is *sticky* (the last token stays, a newer one replaces it);
* the trigger is the *arrival* of a token, a *grid* of instants, or a *deadline*;
* the order is *any*, or *forward* (a set that starts before the last one fired is dropped).

Each trigger has a file here; `engine/matching.py` finds the set. Each class is the sync part of one SQ in one context.
It is given tokens (`inbox`) and its turn (`step`). It calls `fire(start, stop, values, now)` with the interval of the
result and the values of its arc ports in port order. SQs that work on full tokens get `(start, stop, value)` of each.
It owns the tokens that wait; it knows nothing of bodies, networks or threads.
"""

from __future__ import annotations

from ticktalk.counters import Counters
from ticktalk.defaults import EVICTION_BOUND
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.arrival import ArrivalSync, PairSync, SinglePortSync
from ticktalk.engine.firing.base import TTSQSync, fires_full_tokens
from ticktalk.engine.firing.deadline import DeadlineSync, PlanBSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.graph.sq import TTSQ
from ticktalk.time import ROOT, TTClock


def make_sync(
    sq: TTSQ,
    order: int,
    agenda: Agenda,
    counters: Counters,
    clock: TTClock = ROOT,
    eviction_bound: int = EVICTION_BOUND,
) -> TTSQSync:
    """The sync part that the SQ's trigger, ports and order ask for.

    Args:
        sq: the SQ.
        order: its place among all that share `agenda`: rank first, then source order.
        agenda: given the time by the driver.
        counters: where skipped, evicted, late and dropped tokens are counted.
        clock: the clock in which a deadline's values are given.
        eviction_bound: see `EVICTION_BOUND`.
    """
    if sq.trigger == "grid":
        return GridSync(sq, order, agenda, counters, eviction_bound)
    if sq.trigger == "deadline":
        return DeadlineSync(sq, order, agenda, counters, eviction_bound, clock)
    if sq.trigger == "plan_b":
        return PlanBSync(sq, order, agenda, counters, eviction_bound)
    arcs = sum(port.constant is None for port in sq.ports)
    if arcs == 1 or sq.singly:
        return SinglePortSync(sq, order, agenda, counters, eviction_bound)
    pair = arcs == 2 and not fires_full_tokens(sq) and not any(port.sticky for port in sq.ports)
    return (PairSync if pair else ArrivalSync)(sq, order, agenda, counters, eviction_bound)
