from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def never(x):
    from ticktalkpython.Empty import TTEmpty
    return TTEmpty()


@SQify
def pb():
    return -1


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return TTFinishByOtherwise(never(trigger), TTTimeDeadline=5000000, TTPlanB=pb())
