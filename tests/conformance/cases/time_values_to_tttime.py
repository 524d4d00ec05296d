from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(a, b):
    with TTClock.root() as root_clock:
        return VALUES_TO_TTTIME(a, b)
