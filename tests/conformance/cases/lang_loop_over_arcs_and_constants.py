from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    total = 0
    for x in [a, f(b), 5]:
        total = total + x
    for n in (1, 2):
        total = total * n
    for c in ["p"]:
        label = c
    return total, label, n
