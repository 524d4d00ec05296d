from ticktalk import SQify, STREAMify, GRAPHify, TTClock

from collections import defaultdict, namedtuple

@SQify
def f(x):
    d = defaultdict(set)
    d[1] |= {'e', 'd', 'c', 'b', 'a'}
    return d


@GRAPHify
def main(a):
    return f(a)
