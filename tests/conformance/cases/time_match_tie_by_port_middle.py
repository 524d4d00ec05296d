from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def fuse3(a, b, c):
    return (a, b, c)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        p = MERGE(COPY_TTTIME('p1', VALUES_TO_TTTIME(600, 900)), COPY_TTTIME('p2', VALUES_TO_TTTIME(0, 300)))
        q = MERGE(COPY_TTTIME('q1', VALUES_TO_TTTIME(0, 300)), COPY_TTTIME('q2', VALUES_TO_TTTIME(600, 900)))
        x = COPY_TTTIME('x', VALUES_TO_TTTIME(0, 1000))
        return fuse3(p, x, q)
