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


@STREAMify
def src3(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def drop(x, nth):
    from ticktalkpython.Empty import TTEmpty
    return TTEmpty() if x % nth == 0 else x


@SQify
def pbxy(x, y):
    return [-x, -y]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 2200000))

        tag, s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        d = drop(s, 2)
        limit = tag + 200000

        t = src2(window, TTPeriod=250000, TTPhase=20000, TTDataIntervalWidth=100000)
        u = src3(window, TTPeriod=1000000, TTPhase=10000, TTDataIntervalWidth=900000)
        return TTFinishByOtherwise(d, TTTimeDeadline=limit, TTPlanB=pbxy(t, u))
