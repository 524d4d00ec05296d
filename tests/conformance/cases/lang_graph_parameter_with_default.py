from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b=5):
    return a + b
