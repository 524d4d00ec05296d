from ticktalkpython.SQ import *

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    return f(a) * b
