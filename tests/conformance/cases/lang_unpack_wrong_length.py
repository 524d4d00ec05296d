from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def f(x):
    if x == 2:
        return (x,)
    if x == 3:
        return x, x, x
    if x == 4:
        return 5
    if x == 5:
        return ()
    return [x, -x]

@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 3000000))
        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        p, q = f(s)
        return TUPLE_2(q, p)
