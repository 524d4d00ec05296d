from __future__ import annotations
from ticktalk import SQify, STREAMify, GRAPHify, TTClock


@SQify
def f(x: Undefined) -> Nope:
    return x + 1

@GRAPHify
def main(a):
    return f(a)
