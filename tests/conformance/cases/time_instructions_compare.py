from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(a, b):
    with TTClock.root() as root_clock:
        return TUPLE_3(TUPLE_2(EQ(a, b), NEQ(a, b)), TUPLE_2(LT(a, b), LTE(a, 7)), TUPLE_2(GT(a, b), GTE(b, 4)))
