from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import sys

@SQify
def talk(x):
    print("hello", x)
    print("two\nlines")
    print("no newline", end="")
    sys.stdout.write("written\n")
    print("to err", file=sys.stderr)
    return x

@GRAPHify
def main(a):
    return talk(a)
