from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x / 0

@GRAPHify
def main(a):
    return f(a)
