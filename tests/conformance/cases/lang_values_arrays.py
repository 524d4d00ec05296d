from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import numpy as np

@STREAMify
def src(trigger):
    global sq_state
    a = sq_state.setdefault("a", np.zeros(2))
    a += 1
    return a

@SQify
def f(x):
    global sq_state
    sq_state.setdefault("all", []).append(x)
    return [v.tolist() for v in sq_state["all"]]

@SQify
def writes(x):
    x[0] = 5
    return 0

@SQify
def flag(x):
    y = x.copy()
    y[0] = 9
    return [bool(x.flags.writeable), y.tolist()]

@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1000000))
        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        writes(s)
        return TUPLE_2(f(s), flag(s))
