from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    return a + "!", a * 2, "%s:%d" % (a, b), "i" in a, a < "hj", a[0]
