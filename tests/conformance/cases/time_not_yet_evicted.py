from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def fuse(a, b):
    return (a, b)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            d = COPY_TTTIME('d', VALUES_TO_TTTIME(500000, 2000000))
        with TTConstraint(name="far"):
            a = COPY_TTTIME('a', VALUES_TO_TTTIME(0, 1000000))
            c = COPY_TTTIME('c', VALUES_TO_TTTIME(31000000, 31000001))
            r = fuse(a, MERGE(c, d))
        return r
