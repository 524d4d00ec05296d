from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    x = f(a)
    y = f(b)
    return x if a > b else y
