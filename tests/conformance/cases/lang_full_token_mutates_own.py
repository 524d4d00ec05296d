from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x, TTExecuteOnFullToken=True):
    x.value.append(9)
    return x

@SQify
def g(x):
    return x

@GRAPHify
def main(a):
    return f(a), g(a)
