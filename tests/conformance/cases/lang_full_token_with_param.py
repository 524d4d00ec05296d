from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def f(x, TTExecuteOnFullToken=True, k=1):
    from ticktalk import TTToken, TTTime
    return TTToken(x.value * k, TTTime(x.time.clock, x.time.start_tick, x.time.stop_tick + k))

@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1000000))
        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        return f(s, k=5)
