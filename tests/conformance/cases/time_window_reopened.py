from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def echo(x):
    return x


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            second = COPY_TTTIME("second", VALUES_TO_TTTIME(0, 2100000))
        with TTConstraint(name="far"):
            first = COPY_TTTIME("first", VALUES_TO_TTTIME(0, 600000))
            s = echo(MERGE(first, second), TTPeriod=500000, TTDataIntervalWidth=100000)
        return s
