from ticktalk import SQify, STREAMify, GRAPHify, TTClock

open("side_effect", "w").write("imported")
import no_such_module_anywhere

UNNEEDED = open("side_effect", "w")
raise SystemExit("imported")

@SQify
def f(x):
    return x + 1

@GRAPHify
def main(a):
    return f(a)

if __name__ == "__main__":
    open("side_effect", "w").write("main")
