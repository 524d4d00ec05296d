from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a):
    return a["k"]
