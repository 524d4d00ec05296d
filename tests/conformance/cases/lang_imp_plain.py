import ticktalk

@ticktalk.SQify
def f(x):
    return x + 1

@ticktalk.GRAPHify
def main(a, b):
    return f(a) * b
