from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return {'b', 'a', 'c'}

@GRAPHify
def main(a):
    return f(a)
