from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@STREAMify
def both(a, b):
    return [a, b]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        a = COPY_TTTIME(1, VALUES_TO_TTTIME(200000, 1500000))
        b = COPY_TTTIME(2, VALUES_TO_TTTIME(600000, 2000000))
        return both(a, b, TTPeriod=300000, TTDataIntervalWidth=100000)
