from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@GRAPHify
def main(trigger):
    with TTClock.root() as root:
        now = READ_TTCLOCK(trigger, TTClock=root)
        with TTClock("ms", root, 1000, 0) as ms:
            pass
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(now, now + 1000000))
    s = src(window, TTClock=ms, TTPeriod=500, TTPhase=0, TTDataIntervalWidth=100)
    return s, READ_TTCLOCK(trigger, TTClock=ms)
