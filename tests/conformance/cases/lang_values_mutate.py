from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    l = sq_state.setdefault("l", [])
    l.append(len(l))
    return l

@SQify
def vandal(x):
    x.append("spoiled")
    x[0] = "gone"
    return x

@SQify
def keeper(x):
    global sq_state
    sq_state.setdefault("all", []).append(x)
    return sq_state["all"]

@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 2000000))
        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        v = vandal(s)
        k = keeper(s)
        return TUPLE_2(v, k)
