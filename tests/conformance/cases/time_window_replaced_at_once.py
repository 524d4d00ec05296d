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
        first = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 1000000))
        second = COPY_TTTIME(2, VALUES_TO_TTTIME(2000000, 3000000))
        return src(MERGE(first, second), TTPeriod=500000, TTDataIntervalWidth=100000)
