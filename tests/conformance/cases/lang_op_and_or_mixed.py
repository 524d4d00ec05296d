from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    x = a and b or "none"
    y = b or a and 5
    return [x, y]
