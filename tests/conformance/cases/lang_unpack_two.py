from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x, x * 10

@GRAPHify
def main(a, b):
    p, q = f(a)
    return q - p
