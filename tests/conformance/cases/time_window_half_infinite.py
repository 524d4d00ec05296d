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
        w = VALUES_TO_TTTIME(GET_NEG_INFINITY(trigger), 900000)
        return src(w, TTPeriod=400000, TTDataIntervalWidth=100000)
