from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def g(x):
    return [type(x).__name__, x]

@GRAPHify
def main(a, b):
    xs = [a, b]
    xs.append(9)
    return g(xs), g([]), g([1, 2])
