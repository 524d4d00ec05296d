from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def inc(x):
    return x + 1

@SQify
def f(x, k=2):
    return inc(x) * k

@GRAPHify
def main(a):
    return f(a)
