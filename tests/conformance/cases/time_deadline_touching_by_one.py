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
def pb():
    return -1


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1200000))

        tag, s = src(window, TTPeriod=500000, TTDataIntervalWidth=100001)
        d = src2(window, TTPeriod=500000, TTPhase=100000, TTDataIntervalWidth=100000)
        r = TTFinishByOtherwise(d, TTTimeDeadline=tag + 300000, TTPlanB=pb())
        return TUPLE_2(r, s)
