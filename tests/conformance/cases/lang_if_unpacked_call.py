from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x, x * 10

@GRAPHify
def main(a, b):
    p, q = f(a) if b else f(1)
    return q, p
