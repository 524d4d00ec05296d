from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return {'k': ({2, 1}, 0)}

@GRAPHify
def main(a):
    return f(a)
