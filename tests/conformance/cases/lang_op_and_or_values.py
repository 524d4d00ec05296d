from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    return a and b, b and a, a or b, b or a, a and "x" and b, b or 0 or [], not b, not not a
