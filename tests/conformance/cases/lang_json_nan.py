from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return float('nan')

@GRAPHify
def main(a):
    return f(a)
