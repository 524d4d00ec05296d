from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def fact(n):
    return 1 if n < 2 else n * fact(n - 1)

@GRAPHify
def main(a):
    return fact(a)
