from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def g(x, y):
    return x

@GRAPHify
def main(a):
    x = g(a)
    return a
