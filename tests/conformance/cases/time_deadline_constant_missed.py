from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def ident(x):
    return x


@SQify
def pb():
    return -1


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            a = ident(trigger)
        with TTConstraint(name="far"):
            y = ident(a)
        with TTConstraint(name="near"):
            r = TTFinishByOtherwise(y, TTTimeDeadline=100000, TTPlanB=pb())
        return r
