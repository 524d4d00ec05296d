from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def k():
    return 5

@GRAPHify
def main(trigger, c):
    with TTClock.root() as root_clock:
        w = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 1000000))
        return src(w, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000) if c else k()
