from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    return 0 < b < a <= 7, a < b < 100, 1 < b < a > 2 != 5, b == 3 == b
