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
def ends(a, b, TTExecuteOnFullToken=True):
    from ticktalkpython.TTToken import TTToken
    return TTToken((a.time.start_tick, a.time.stop_tick, b.time.start_tick, b.time.stop_tick), b.time)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1200000))

        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        t = src2(window, TTPeriod=500000, TTPhase=20000, TTDataIntervalWidth=100000)
        return ends(s, t)
