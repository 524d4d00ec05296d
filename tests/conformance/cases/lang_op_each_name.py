from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    x0 = a + b
    x1 = a - b
    x2 = a * b
    x3 = a / b
    x4 = a // b
    x5 = a % b
    x6 = a ** b
    x7 = -a
    x8 = +a
    x9 = ~a
    x10 = not a
    x11 = a and b
    x12 = a or b
    x13 = a & b
    x14 = a | b
    x15 = a ^ b
    x16 = a << b
    x17 = a >> b
    x18 = a == b
    x19 = a != b
    x20 = a < b
    x21 = a <= b
    x22 = a > b
    x23 = a >= b
    x24 = a is None
    x25 = a is not None
    x26 = a in [3, 7]
    x27 = a not in (3, 7)
    x28 = (a, b)
    return [a, b, a]
