import ticktalkpython.SQ as S

@S.SQify
def f(x):
    return x + 1

@S.GRAPHify
def main(a, b):
    return f(a) * b
