from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@GRAPHify
def main(trigger):
    with TTClock.root() as root, TTClock(name="ms", parent=root, period=1000, epoch=250) as ms:
        now = READ_TTCLOCK(trigger, TTClock=root)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(now, now + 1000000))
        return src(window, TTClock=ms, TTPeriod=500, TTPhase=100, TTDataIntervalWidth=100)
