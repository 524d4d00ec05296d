from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def fuse(a, b):
    return (a, b)


@GRAPHify
def main(a, b, c):
    with TTClock.root() as root_clock:
        return fuse(MERGE(a, b), c)
