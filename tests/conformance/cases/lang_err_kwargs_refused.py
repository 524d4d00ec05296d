from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x, **rest):
    return x

@GRAPHify
def main(a):
    return f(a)
