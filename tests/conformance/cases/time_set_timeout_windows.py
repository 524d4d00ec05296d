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
        late = SET_TIMEOUT(COPY_TTTIME(4, VALUES_TO_TTTIME(0, 800000)))
        return late * src(trigger, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
