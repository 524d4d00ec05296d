from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a):
    x = 3
      y = 4
    return a
