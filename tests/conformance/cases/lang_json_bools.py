from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return [True, False, None, {'a': True}]

@GRAPHify
def main(a):
    return f(a)
