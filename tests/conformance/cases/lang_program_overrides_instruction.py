from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def ABS(x):
    return 'mine'

@SQify
def f(x):
    return 1

@GRAPHify
def main(a):
    return ABS(a), f(a)
