from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return {'l': [{None: 1}]}

@GRAPHify
def main(a):
    return f(a)
