from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@GRAPHify
def main(trigger):
    return src(trigger, TTClock=clk, TTPeriod=5, TTPhase=0)
