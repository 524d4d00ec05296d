from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return set()

@GRAPHify
def main(a):
    return f(a)
