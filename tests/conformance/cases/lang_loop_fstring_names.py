from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    for i in range(3):
        f(a * i, TTName=f"speed{i}")
