from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return '\u00e9\U0001f600\n"q"'

@GRAPHify
def main(a):
    return f(a)
