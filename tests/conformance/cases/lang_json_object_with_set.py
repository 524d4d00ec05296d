from ticktalk import SQify, STREAMify, GRAPHify, TTClock

from dataclasses import dataclass

@dataclass
class P:
    x: int
    s: set

@SQify
def f(x):
    return P(x, {'e', 'a', 'd', 'b', 'c'})

@GRAPHify
def main(a):
    return f(a)
