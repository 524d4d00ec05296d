from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return COPY_TTTIME(COPY_TTTIME(1, VALUES_TO_TTTIME(0, 10)), 5)
