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


@SQify
def fuse3(a, b, c):
    return (a, b, c)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 2000000))

        s = src(window, TTPeriod=1000000, TTDataIntervalWidth=1000000)
        t = src2(window, TTPeriod=100000, TTDataIntervalWidth=100000)
        return fuse3(s, t, COPY_TTTIME('k', VALUES_TO_TTTIME(700000, 3000000)))
