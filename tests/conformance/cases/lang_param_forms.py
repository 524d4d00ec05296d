from ticktalk import SQify, STREAMify, GRAPHify, TTClock

K = 5

@SQify
def f(x, k=K, m=2 * 3, *, z=1, none=None):
    return [x, k, m, z, none]

@GRAPHify
def main(a):
    n = 4
    p = f(a)
    q = f(a, 9)
    r = f(a, z=n + 1, m=-K)
    t = f(x=a, k="text")
    u = f(a, none=(1, [2, {"d": 3}]))
    return [p, q, r, t, u]
