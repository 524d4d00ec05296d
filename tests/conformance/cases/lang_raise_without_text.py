from ticktalk import SQify, STREAMify, GRAPHify, TTClock

class Odd(Exception):
    def __str__(self):
        raise RuntimeError('no text')

@SQify
def f(x):
    if x < 100:
        raise Odd
    return x

@GRAPHify
def main(a):
    f(a)
    return a + 1
