from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    outs = []
    for i in range(2):
        with TTConstraint(name=f"edge{i}"):
            outs.append(f(a + i, TTName=f"worker{i:02d}"))
    for i, tag in [(0, "p"), (1, "q")]:
        outs.append(f"{tag}{i + 1}")
    with TTConstraint(name="hub"):
        return outs
