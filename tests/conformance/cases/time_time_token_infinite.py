from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTConstraint(name="near"):
            a = CONST(trigger, const=3)
        with TTConstraint(name="far"):
            b = TUPLE_2(READ_TTCLOCK(a, TTClock=root_clock), TIME_TOKEN(a))
        return b
