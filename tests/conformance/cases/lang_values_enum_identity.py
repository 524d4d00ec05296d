from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import enum
class E(enum.Enum):
    A = 1

@SQify
def f(x):
    return E.A

@SQify
def g(e):
    return e is E.A

@GRAPHify
def main(a):
    return g(f(a))
