from ticktalkpython import SQ

@SQ.SQify
def f(x):
    return x + 1

@SQ.GRAPHify
def main(a, b):
    return f(a) * b
