from ticktalk import SQify, STREAMify, GRAPHify, TTClock

class Made:
    n = 0

def make():
    Made.n += 1
    return {"made": Made.n}

THING = make()

@SQify
def f(x):
    THING["x"] = x
    return [THING, Made.n]

@GRAPHify
def main(a, b):
    return f(a), f(b)
