from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return ADD_TIME_DELAY(trigger, delay=0.5)
