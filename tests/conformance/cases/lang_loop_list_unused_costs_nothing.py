from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    xs = [a, a]
    ys = [f(a), f(1)]
    xs.append(3)
    return a + 1
