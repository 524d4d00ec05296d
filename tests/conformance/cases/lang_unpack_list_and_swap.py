from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x, x * 10

@GRAPHify
def main(a, b):
    [p, q] = f(a)
    p, q = q, p
    r, t = a, b
    u = v = t
    return [p, q, r, u, v]
