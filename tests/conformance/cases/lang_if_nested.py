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
    return [yes(a) if a < b else boom(a) if a == b else no(a), (boom(1) if b > 5 else yes(b)) if a else boom(2)]
