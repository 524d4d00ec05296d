from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x, *rest):
    return x

@GRAPHify
def main(a):
    x = missing(a)
    while a:
        a = a + 1
    y = f(a, speed=3)
    z = (lambda: 3)
    with TTConstraint(nam="q"):
        w = nope + a
    return z + undefined_thing

@GRAPHify
def other(a):
    return wrong_here
