from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@STREAMify
def letter(trigger, which="a"):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return which + str(sq_state["n"])


@SQify
def pb():
    return -1


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 2500000))

        tag, s = src(window, TTPeriod=500000, TTDataIntervalWidth=800000)
        d = letter(window, TTPeriod=2000000, TTPhase=1100000, TTDataIntervalWidth=600000)
        r = TTFinishByOtherwise(d, TTTimeDeadline=tag + 700000, TTPlanB=pb())
        late = TUPLE_2(r, TIME_TOKEN(r))
        return late
