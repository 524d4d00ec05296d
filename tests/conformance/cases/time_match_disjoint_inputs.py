from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def fuse(a, b):
    return (a, b)


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return fuse(COPY_TTTIME(1, VALUES_TO_TTTIME(0, 1000)), COPY_TTTIME(2, VALUES_TO_TTTIME(1000, 2000)))
