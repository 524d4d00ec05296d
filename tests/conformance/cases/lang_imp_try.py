try:
    from ticktalk import SQify, GRAPHify
except ImportError:
    from ticktalkpython.SQ import SQify, GRAPHify

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a, b):
    return f(a) * b
