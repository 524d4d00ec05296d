from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a):
    xs = [10, a, 30]
    return xs[a], xs[1], xs[-1]
