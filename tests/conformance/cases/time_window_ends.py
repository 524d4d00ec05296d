from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@STREAMify
def src2(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(500000, 1500000))
        a = src(window, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        b = src2(window, TTPeriod=500000, TTPhase=250000, TTDataIntervalWidth=100000)
