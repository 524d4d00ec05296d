from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        a = ADD_TIME_DELAY(trigger, delay=5)
        b = ADD_TIME_DELAY(VALUES_TO_TTTIME(7, GET_INFINITY(trigger)), delay=5)
