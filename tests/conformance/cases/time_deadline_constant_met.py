from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def pb():
    return -1


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return TTFinishByOtherwise(trigger, TTTimeDeadline=50000, TTPlanB=pb())
