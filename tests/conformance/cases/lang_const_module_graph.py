from ticktalk import SQify, STREAMify, GRAPHify, TTClock

BASE = 10
RATE = BASE * 2 + 1

@GRAPHify
def main(a):
    n = RATE - 1
    m = n // 3
    flag = not (m > 100)
    pair = (n, [m])
    return [a + n, m * 2, flag, pair[0], pair[1][0], -m ** 2, 1 < m < 5]
