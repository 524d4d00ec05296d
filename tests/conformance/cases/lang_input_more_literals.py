from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b, c, d):
    return [a, b, c, d]
