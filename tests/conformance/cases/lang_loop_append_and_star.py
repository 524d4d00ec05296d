from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@SQify
def g(x, y, z):
    return [x, y, z]

@GRAPHify
def main(a):
    arcs = []
    for i in range(1, 8, 3):
        arcs.append(f(a * i))
    return g(*arcs), g(0, *[a, arcs[-1]])
