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

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    xs = [yes(a + i) if i % 2 else no(i) for i in range(3)]
    ys = [f(i) if a > i * 5 else boom(i) for i in range(2)]
    return xs, ys
