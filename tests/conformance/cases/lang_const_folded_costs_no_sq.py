from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a):
    x = 2 * 3 + 4
    y = x - 1
    z = (x, y)
    return a + x * y
