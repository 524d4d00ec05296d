from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def letter(trigger, which="a"):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return which + str(sq_state["n"])


@SQify
def ident(x):
    return x


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        w = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 1200000))
        with TTConstraint(name="near"):
            window = ident(w)
            near = letter(window, TTPeriod=500000, TTDataIntervalWidth=100000)
        with TTConstraint(name="far"):
            v = COPY_TTTIME(1, VALUES_TO_TTTIME(100000, 1200000))
            far = letter(v, which="b", TTPeriod=500000, TTPhase=50000, TTDataIntervalWidth=100000)
            m = MERGE(far, near)
        return m
