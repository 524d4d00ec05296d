from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def both(a, b):
    return [a, b]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            b = COPY_TTTIME(2, VALUES_TO_TTTIME(300000, 1600000))
        with TTConstraint(name="far"):
            a = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 5000000))
            s = both(a, b, TTPeriod=300000, TTDataIntervalWidth=100000)
        return s
