from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    return a + b * 2 ** b - -a // 2 % 4, (a - b) - 1, a - (b - 1), not a == b, -a ** 2
