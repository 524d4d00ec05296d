from ticktalkpython import SQ as q

@q.SQify
def f(x):
    return x + 1

@q.GRAPHify
def main(a, b):
    return f(a) * b
