from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    x = f(a)
    y = x if b else x
    z = (x if b else 1) + (1 if b else x)
    return y, z
