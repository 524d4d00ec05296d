from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return [0.1 + 0.2, 1e300, -0.0, 2.0]

@GRAPHify
def main(a):
    return f(a)
