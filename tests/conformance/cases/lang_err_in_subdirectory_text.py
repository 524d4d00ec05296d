from ticktalk import SQify, STREAMify, GRAPHify, TTClock

NAME = "café"

@GRAPHify
def main(a):
    return "café" + a + missing
