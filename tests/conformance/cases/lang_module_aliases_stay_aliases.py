from ticktalk import SQify, STREAMify, GRAPHify, TTClock

L = []
D = {"l": L}
A = B = {}

def add(x):
    D["l"].append(x)
    A["x"] = x

@SQify
def f(x):
    add(x)
    return [L, D["l"] is L, B]

@SQify
def g(x):
    return [L, D, A]

@GRAPHify
def main(a):
    x = f(a)
    return x, g(x)
