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
def main(a, b):
    x = k() if a > b else k_boom()
    y = k_boom() if a < b else k()
    return x + y
