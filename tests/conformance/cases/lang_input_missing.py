from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(alpha, beta, trigger):
    return alpha, beta
