from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def ident(x):
    return x


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        with TTClock("ms", root_clock, 1000, 0) as ms:
            with TTConstraint(name="near"):
                there = ident(trigger)
                a = READ_TTCLOCK(there, TTClock=root_clock)
            with TTConstraint(name="far"):
                b = READ_TTCLOCK(there, TTClock=ms, delay=10)
                c = READ_TTCLOCK(ident(there), TTClock=root_clock, delay=-67)
            return TUPLE_3(a, b, c)
