import ticktalk as tt

@tt.SQify
def f(x):
    return x + 1

@tt.GRAPHify
def main(a, b):
    return f(a) * b
