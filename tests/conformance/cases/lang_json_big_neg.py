from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return [-(2 ** 64)]

@GRAPHify
def main(a):
    return f(a)
