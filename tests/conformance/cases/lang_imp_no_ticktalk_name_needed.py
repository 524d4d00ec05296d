from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x * 2

@GRAPHify
def main(a):
    with TTConstraint(name="rsu"):
        return ABS(f(a))
