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
        with TTClock("ms", root_clock, 1000, 0) as ms:
            window = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 1600000))
            return src(window, TTClock=ms, TTPeriod=500, TTPhase=20, TTDataIntervalWidth=100)
