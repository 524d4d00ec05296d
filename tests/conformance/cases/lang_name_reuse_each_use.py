from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    x = f(a)
    y = x * 2
    x = f(y)
    x = x - y
    b = b + x
    return x, y, b
