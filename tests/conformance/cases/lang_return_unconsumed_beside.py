from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    x = f(a)
    y = f(b)
    z = f(y)
    w = x * 2
    return x
