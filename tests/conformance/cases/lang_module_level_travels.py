from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import math
import os.path as osp
from math import floor as down

SCALE = 4
TABLE = {"a": [1]}
A, (B, C) = 1, (2, 3)
X: int = 30
P = Q = 2 * SCALE
SCALE += 1

class Acc:
    """Shared class."""
    bias = SCALE

    def add(self, x):
        return twice(x) + self.bias

def twice(x):
    return x * FACTOR

FACTOR = 2

@SQify
def f(x):
    return [Acc().add(x), math.gcd(12, x * 3), down(2.5), TABLE["a"], A, B, C, X, P, Q, SCALE, osp.join("p", "q")]

@GRAPHify
def main(a):
    return f(a)
