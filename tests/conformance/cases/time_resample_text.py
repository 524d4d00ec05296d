from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def letter(trigger, which="a"):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return which + str(sq_state["n"])


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1200000))

        s = letter(window, TTPeriod=400000, TTDataIntervalWidth=100000)
        return RESAMPLE(s, TTPeriod=300000, TTPhase=0)
