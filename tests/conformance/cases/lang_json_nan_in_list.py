from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return [1.5, float('nan')]

@GRAPHify
def main(a):
    return f(a)
