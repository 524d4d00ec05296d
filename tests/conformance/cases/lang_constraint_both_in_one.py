from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    with TTConstraint(name=["one", "two"], components=["gpu"]):
        f(a)
    with TTConstraint(components=["gpu"]), TTConstraint(components=["camera"]):
        f(a)
    names = ["four", "three"]
    with TTConstraint(name=names):
        f(a)
