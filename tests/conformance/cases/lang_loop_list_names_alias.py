from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def g(x):
    return x

@GRAPHify
def main(a):
    xs = [a]
    ys = xs
    ys.append(1)
    x = g(xs)
    xs.append(2)
    return ys, x
