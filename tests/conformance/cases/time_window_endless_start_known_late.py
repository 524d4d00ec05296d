from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            low = GET_NEG_INFINITY(trigger)
            window = VALUES_TO_TTTIME(low, 2000000)
        with TTConstraint(name="far"):
            s = src(window, TTPeriod=500000, TTDataIntervalWidth=100000)
        return s
