from ticktalk import SQify, STREAMify, GRAPHify, TTClock

LOG = []

def add(x, log=LOG):
    log.append(x)

@SQify
def f(x):
    add(x)
    return LOG

@GRAPHify
def main(a):
    return [f(a), f(a)]
