from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return {1: 'a', 2: 'b'}

@GRAPHify
def main(a):
    return f(a)
