from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return (1, (2, [3, ()]))

@GRAPHify
def main(a):
    return f(a)
