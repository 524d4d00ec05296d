from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    xs = [a + i for i in range(3)]
    ys = [x * y for x in xs for y in [b, 2]]
    return xs, [x - 1 for x in xs], ys
