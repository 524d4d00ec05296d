from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    with TTConstraint(components=["camera"]):
        f(a)
    with TTConstraint(components=["camera", "gpu"]):
        f(a)
    with TTConstraint(components=["gpu"]):
        f(a)
        with TTConstraint(name=["one", "three", "four"]):
            f(a)
    with TTConstraint(name=["four", "two"]):
        f(a)
    with TTConstraint(name="four"):
        f(a)
    f(a)
