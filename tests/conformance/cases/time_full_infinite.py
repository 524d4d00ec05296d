from ticktalkpython.SQ import STREAMify, GRAPHify, SQify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *


@SQify
def peek(tok, TTExecuteOnFullToken=True):
    from ticktalkpython.Time import TTTime
    from ticktalkpython.TTToken import TTToken
    return TTToken((tok.time.start_tick, tok.time.stop_tick), TTTime(tok.time.clock, 0, tok.time.stop_tick))


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        return peek(trigger)
