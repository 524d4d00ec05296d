from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b, c, d, e, g, h):
    return [a, b, c, d, e, g, h]
