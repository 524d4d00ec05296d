from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    return 0 < b < a
