from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def vandal(x):
    x["k"].clear()
    return x

@SQify
def reader(x):
    return x

@GRAPHify
def main(a):
    return vandal(a), reader(a), a
