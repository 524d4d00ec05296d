from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    try:
        return input("prompt> ")
    except EOFError:
        return "eof"

@GRAPHify
def main(a):
    return f(a)
