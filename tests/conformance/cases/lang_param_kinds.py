from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x, /, z, *, y, k=1):
    return [x, z, y, k]

@GRAPHify
def main(a):
    return f(a, 2, y=3)
