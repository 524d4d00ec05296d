from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    with TTConstraint(name="left"):
        f(a)
    with TTQuery(name="right"):
        f(a)
    with TTConstraint(name=["right", "left"]):
        f(a)
    f(a)
    with TTConstraint(name=["right"]):
        f(a)
