from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return 10 ** 40 + x

@GRAPHify
def main(a):
    return f(a)
