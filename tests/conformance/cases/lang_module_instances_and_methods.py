from ticktalk import SQify, STREAMify, GRAPHify, TTClock

class Filter:
    def __init__(self):
        self.t = 0

    def step(self, x):
        self.t += x
        return self.t

FILTER = Filter()
STEP = FILTER.step

@SQify
def f(x):
    FILTER.step(x)
    return STEP(x)

@GRAPHify
def main(a):
    return [f(a), f(a)]
