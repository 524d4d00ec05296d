from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    with TTConstraint(components=["camera"]):
        x = f(a)
    with TTConstraint(components=["gpu"]):
        return f(x)
