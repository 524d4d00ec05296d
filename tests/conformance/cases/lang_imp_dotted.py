import ticktalkpython.SQ

@ticktalkpython.SQ.SQify
def f(x):
    return x + 1

@ticktalkpython.SQ.GRAPHify
def main(a, b):
    return f(a) * b
