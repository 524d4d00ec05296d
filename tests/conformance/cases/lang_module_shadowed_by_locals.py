from ticktalk import SQify, STREAMify, GRAPHify, TTClock

X = 9
max = 5

@SQify
def f(x):
    X = 3

    def g():
        return X

    return [g(), [X for X in range(2)], (lambda y=X: y)(), max]

@GRAPHify
def main(a):
    return f(a)
