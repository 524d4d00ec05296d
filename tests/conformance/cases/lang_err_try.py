from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    try:
        x = f(a)
    except ValueError:
        x = a
    return a
