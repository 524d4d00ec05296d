from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return {3, 1, 2}

@GRAPHify
def main(a):
    return f(a)
