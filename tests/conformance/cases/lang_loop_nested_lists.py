from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    rows = []
    for i in range(2):
        row = []
        for j in range(2):
            row.append(a + 10 * i + j)
        rows.append(row)
    return rows, rows[1][0], rows[0]
