from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@GRAPHify
def main(trigger):
    with TTClock.root() as c:
        return src(trigger, TTClock=c, TTPhase=0)
