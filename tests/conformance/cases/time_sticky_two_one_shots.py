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
def fuse3(a, b, c):
    return (a, b, c)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            late = ident(trigger)
        with TTConstraint(name="far"):
            start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
            window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 2000000))

            r = fuse3(src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000), COPY_TTTIME('k', VALUES_TO_TTTIME(400000, 1470000)), late)
        return r
