from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@GRAPHify
def main(a, b):
    with TTClock.root() as root_clock:
        return TUPLE_3(TUPLE_3(NEG(a), ABS(SUB(b, a)), NOT(b)), TUPLE_3(MULT(a, b), DIV(a, b), ADD(a, 1)), TUPLE_3(MIN(a, b), MAX(a, b), SQRT(MULT(b, b))))
