from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def fuse3(a, b, c):
    return (a, b, c)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        low = GET_NEG_INFINITY(trigger)
        high = GET_INFINITY(trigger)
        p = MERGE(COPY_TTTIME("p1", VALUES_TO_TTTIME(5, high)), COPY_TTTIME("p2", VALUES_TO_TTTIME(low, 3)))
        q = MERGE(COPY_TTTIME("q1", VALUES_TO_TTTIME(7, high)), COPY_TTTIME("q2", VALUES_TO_TTTIME(low, 2)))
        return fuse3(trigger, p, q)
