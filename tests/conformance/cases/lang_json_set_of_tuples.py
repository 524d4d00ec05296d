from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return {(10, 0), (9, 5), (1, 2)}

@GRAPHify
def main(a):
    return f(a)
