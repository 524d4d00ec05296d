from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    with TTConstraint(name="left"):
        with TTConstraint(name="right"):
            return f(a)
