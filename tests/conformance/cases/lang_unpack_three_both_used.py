from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return [x, None, {"k": x}]

@GRAPHify
def main(a):
    p, q, r = f(a)
    return (r, p, q)
