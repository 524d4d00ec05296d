from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    inner = 3
    return inner

@GRAPHify
def main(a):
    return f(a) + inner
