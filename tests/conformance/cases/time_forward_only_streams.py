from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def total(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return total(MERGE(COPY_TTTIME(1, VALUES_TO_TTTIME(1000, 2000)), COPY_TTTIME(2, VALUES_TO_TTTIME(0, 1000))))
