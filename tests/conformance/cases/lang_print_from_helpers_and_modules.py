from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import os, sys

def say(x):
    print('said', x)

@SQify
def f(x):
    say(x)
    print(*range(3), sep='', file=sys.stdout)
    os.system('echo from_shell')
    return x

@GRAPHify
def main(a):
    return f(a)
