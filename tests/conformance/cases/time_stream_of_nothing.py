from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def odd(trigger):
    global sq_state
    from ticktalkpython.Empty import TTEmpty
    sq_state["n"] = sq_state.get("n", 0) + 1
    if sq_state["n"] == 2:
        return "two"
    if sq_state["n"] == 3:
        return TTEmpty()


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1700000))
        return odd(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
