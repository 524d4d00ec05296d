from ticktalk import SQify, STREAMify, GRAPHify, TTClock

from dataclasses import dataclass
@dataclass
class Thing:
    n: int
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
