from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def talk(x):
    print()
    print("a", "b", sep="-", flush=True)
    print("tail", end="")
    return x

@GRAPHify
def main(a):
    return talk(a)
