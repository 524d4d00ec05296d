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
        p = MERGE(COPY_TTTIME("p1", VALUES_TO_TTTIME(5, GET_INFINITY(trigger))), ident(ident(ident(ident(ident("p2"))))))
        return fuse(trigger, p)
