from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    x = 3
    y = a + x
    x = [a, y]
    x = x[1]
    a = x
    return a
