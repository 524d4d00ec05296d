from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    x = nope + nope2
    nope3(nope4, k=nope5)[nope6]
    return zz
