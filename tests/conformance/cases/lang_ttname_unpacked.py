from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    x = f(a, TTName="speed")
    y = f(a, TTPersistent=True)
    z = f(a, TTName="slow", TTPersistent=True)
