from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(alpha):
    return alpha
