from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    x = f(a)
    with TTConstraint(name="b"):
        x = f(x)
        with TTConstraint(name=["b", "a"]):
            x = f(x)
    with TTConstraint(name="a"):
        x = f(x)
    return x
