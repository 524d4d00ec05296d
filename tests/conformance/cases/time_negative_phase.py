from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return src(trigger, TTPeriod=500000, TTPhase=-1)
