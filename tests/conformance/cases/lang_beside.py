from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import lang_beside_helper
from lang_beside_helper import bump as up

@SQify
def f(x):
    return lang_beside_helper.bump(x), lang_beside_helper.COUNT

@SQify
def g(x):
    import lang_beside_helper as h
    return up(x[0]), h.COUNT

@GRAPHify
def main(a):
    return g(f(a))
