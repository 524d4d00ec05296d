from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def ident(x):
    return x


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            late = ident(trigger)
        with TTConstraint(name="far"):
            window = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 42000000))
            r = src(window, TTPeriod=1000000, TTDataIntervalWidth=100000) + late
        return r
