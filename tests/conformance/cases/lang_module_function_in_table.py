from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import functools

LOG = []
COUNT = 0

def note(x):
    LOG.append(x)

HANDLERS = {"note": note}

@SQify
def f(x):
    HANDLERS["note"](x)
    return LOG

@GRAPHify
def main(a):
    return [f(a), f(a)]
