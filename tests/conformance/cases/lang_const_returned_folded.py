from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a):
    x = 'p'
    return x + 'q'
