from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

from ticktalk import TTEmpty

@SQify
def drop(x, nth):
    return TTEmpty() if x % nth == 0 else x

@SQify
def pb():
    return -1

@SQify
def pb_of(x):
    return -x

@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 2000000))
        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        with TTPlanB(pb):
            with TTDeadline(root_clock, 100000):
                y = drop(s, 2)
        return y
