from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    xs = [f(i) for i in range(4)]
    for level in range(2):
        ys = []
        for i in range(2 - level):
            ys.append(xs[2 * i] + xs[2 * i + 1])
        xs = ys
    return xs[0] * a
