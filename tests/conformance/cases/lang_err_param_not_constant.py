from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def g(x, k=1):
    return x

@GRAPHify
def main(a):
    y = g(a, k=a)
    return a
