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


@SQify
def pb():
    return -1


@SQify
def slack(x):
    return [0, 700000, 20000, 100001, 100000][x]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            window = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 2200000))
            tag, s = src(window, TTPeriod=500000, TTDataIntervalWidth=100000)
            limit = tag + slack(s)
        with TTConstraint(name="far"):
            y = ident(s)
        with TTConstraint(name="near"):
            r = TTFinishByOtherwise(y, TTTimeDeadline=limit, TTPlanB=pb())
            seen = TUPLE_2(r, TIME_TOKEN(r))
        return seen
