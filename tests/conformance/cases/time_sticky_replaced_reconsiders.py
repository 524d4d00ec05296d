from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def ident(x):
    return x


@SQify
def fuse(a, b):
    return (a, b)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            k2 = COPY_TTTIME("new", VALUES_TO_TTTIME(900000, 3000000))
        with TTConstraint(name="far"):
            start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
            window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 2000000))
            k1 = COPY_TTTIME("old", VALUES_TO_TTTIME(0, 700000))
            r = fuse(src(window, TTPeriod=500000, TTDataIntervalWidth=100000), MERGE(k1, k2))
        return r
