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
    return yes(a) if (b if a else 0) and not (a < b) else boom(1)
