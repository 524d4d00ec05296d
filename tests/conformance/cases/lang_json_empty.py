from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return [[], {}, '', ()]

@GRAPHify
def main(a):
    return f(a)
