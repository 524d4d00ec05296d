from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import functools

LOG = []
COUNT = 0

def twice(fn):
    @functools.wraps(fn)
    def inner(x):
        fn(x)
        fn(x)
    return inner

@twice
def note(x):
    global COUNT
    COUNT += 1
    LOG.append(x)

@SQify
def f(x):
    note(x)
    return LOG, COUNT

@GRAPHify
def main(a):
    return [f(a), f(a)]
