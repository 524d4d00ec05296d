from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x, y, z):
    return [x, y, z]

@GRAPHify
def main(a, b):
    f(1, a, "s")
    f(a, None, [1, 2])
    f(z=a, y=b, x=(0, 1))
    f(1, 2.5, True)
