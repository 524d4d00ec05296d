from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    d = {"k": a, "l": [b, 1]}
    return d["k"], d["l"][0], {a, b, 3}, {}, d
