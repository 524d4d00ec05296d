from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import functools

LOG = []
COUNT = 0

@functools.lru_cache
def note(x):
    LOG.append(x)
    return len(LOG)

@SQify
def f(x):
    return note(x), note(x), LOG

@GRAPHify
def main(a):
    return [f(a), f(a)]
