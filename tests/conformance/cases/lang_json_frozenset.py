from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return frozenset([2, 1])

@GRAPHify
def main(a):
    return f(a)
