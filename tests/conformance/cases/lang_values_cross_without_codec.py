from ticktalk import SQify, STREAMify, GRAPHify, TTClock

class Thing:
    pass

@SQify
def f(x):
    return Thing() if x == 7 else x

@SQify
def g(t):
    return t

@GRAPHify
def main(a, b):
    with TTConstraint(name="left"):
        x = f(a)
        y = f(b)
    with TTConstraint(name="right"):
        g(x)
        return g(y)
