from ticktalk import SQify, STREAMify, GRAPHify, TTClock

def helper(x):
    return x

@GRAPHify
def main(a):
    return helper(a)
