from ticktalk import GRAPHify, STREAMify, TTClock, ms


@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        with TTClock.root() as root_clock:
            start = READ_TTCLOCK(trigger, TTClock=root_clock)
            window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + ms(400)))
    with TTConstraint(name="far"):
        late = src(window, TTPeriod=ms(100), TTDataIntervalWidth=ms(50), TTMissed="catch-up", TTName="late-1")
        skipped = src(window, TTPeriod=ms(100), TTDataIntervalWidth=ms(50), TTName="skipped-1")
