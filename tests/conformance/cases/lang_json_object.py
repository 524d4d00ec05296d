from ticktalk import SQify, STREAMify, GRAPHify, TTClock

class Thing:
    def __init__(self, n):
        self.n = n

    def __repr__(self):
        return f"<Thing {self.n}>"

@SQify
def f(x):
    return Thing(x)

@SQify
def g(t):
    return [t, {"k": (t,)}]

@GRAPHify
def main(a):
    x = f(a)
    g(x)
    return x
