from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def yes(x):
    return ["yes", x]

@SQify
def no(x):
    return ["no", x]

@SQify
def boom(x):
    raise ValueError("must not run")

@SQify
def k():
    return 42

@SQify
def k_boom():
    raise ValueError("must not run")

@GRAPHify
def main(a):
    x = a
    for i in range(0):
        x = boom(x)
    for i in range(3, 0, -1):
        x = x * 10 + i
    return x
