from ticktalk import SQify, STREAMify, GRAPHify, TTClock

from collections import namedtuple
Pair = namedtuple('Pair', 'a b')

@SQify
def f(x):
    return Pair(x, {'e', 'd', 'c', 'b', 'a'})


@GRAPHify
def main(a):
    return f(a)
