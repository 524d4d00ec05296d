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
        limit = COPY_TTTIME(700000, VALUES_TO_TTTIME(100, 990000))
        return TTFinishByOtherwise(never(trigger), TTTimeDeadline=limit, TTPlanB=pb())
