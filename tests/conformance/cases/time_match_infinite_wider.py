from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def fuse(a, b):
    return (a, b)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        p = MERGE(COPY_TTTIME("p1", VALUES_TO_TTTIME(0, 1000)), COPY_TTTIME("p2", VALUES_TO_TTTIME(5, GET_INFINITY(trigger))))
        return fuse(trigger, p)
