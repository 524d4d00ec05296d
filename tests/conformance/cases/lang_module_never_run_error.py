from ticktalk import SQify, STREAMify, GRAPHify, TTClock

open("side_effect", "w").write("imported")
def default():
    open("side_effect", "w").write("called")
    return 3

@GRAPHify
def main(a):
    return a + nope
