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
        with TTClock("ms", root_clock, 1000, 250) as ms:
            with TTClock("ds", ms, 100, 7) as ds:
                window = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 1600000))
                s = src(window, TTPeriod=500000, TTDataIntervalWidth=100000)
                return READ_TTCLOCK(s, TTClock=ds, delay=5)
