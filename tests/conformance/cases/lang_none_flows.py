from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    pass

@SQify
def g(x):
    return x is None

@GRAPHify
def main(a):
    y = f(a)
    return [y, g(y), y is None, y == 3]
