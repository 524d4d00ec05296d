from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return src(trigger, TTClock=root_clock, TTPeriod=500000.5, TTPhase=0, TTDataIntervalWidth=100000)
