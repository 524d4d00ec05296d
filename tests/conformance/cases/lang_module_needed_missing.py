from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import no_such_module_anywhere as nsm

@SQify
def f(x):
    return nsm.go(x)

@GRAPHify
def main(a):
    return f(a)
