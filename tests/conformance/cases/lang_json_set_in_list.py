from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return [1, {'y', 'x'}]

@GRAPHify
def main(a):
    return f(a)
