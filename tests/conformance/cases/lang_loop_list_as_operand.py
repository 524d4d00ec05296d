from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    xs = [a, b]
    return xs + b, xs == [7, 3], 3 in xs, xs * 2
