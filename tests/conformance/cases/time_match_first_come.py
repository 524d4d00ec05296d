from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def fuse(a, b):
    return (a, b)


@SQify
def ident(x):
    return x


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        y = ident(ident(ident(COPY_TTTIME('y', VALUES_TO_TTTIME(0, 1000)))))
        x = MERGE(COPY_TTTIME('x1', VALUES_TO_TTTIME(990, 2000)), COPY_TTTIME('x2', VALUES_TO_TTTIME(0, 1000)))
        return fuse(x, y)
