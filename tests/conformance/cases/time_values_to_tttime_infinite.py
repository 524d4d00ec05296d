from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        a = VALUES_TO_TTTIME(5, GET_INFINITY(trigger))
        b = VALUES_TO_TTTIME(GET_NEG_INFINITY(trigger), 6)
        c = VALUES_TO_TTTIME(GET_NEG_INFINITY(trigger), GET_INFINITY(trigger))
