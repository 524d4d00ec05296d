from ticktalk import SQify, STREAMify, GRAPHify, TTClock

from math import *

@SQify
def f(x):
    return floor(sqrt(x))

@GRAPHify
def main(a):
    return f(a)
