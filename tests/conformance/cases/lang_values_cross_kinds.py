from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import datetime
from dataclasses import dataclass

@dataclass
class P:
    x: int

@SQify
def f(x):
    return [10 ** 30 + x, 1 + 2j, (1, (2,)), {3, 4}, frozenset({5}), datetime.datetime(2024, 1, 2), P(x), {1: None}, b"b", [float("inf")]]

@SQify
def g(v):
    return [v[0] == 10 ** 30 + 7, v[1] == 1 + 2j, v[2] == (1, (2,)), v[3] == {3, 4}, v[4] == frozenset({5}), v[5].year, v[6] == P(7), v[7] == {1: None}, v[8] == b"b", v[9][0] > 1]

@GRAPHify
def main(a):
    with TTConstraint(name="left"):
        x = f(a)
    with TTConstraint(name="right"):
        return g(x)
