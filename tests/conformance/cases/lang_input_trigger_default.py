from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(trigger, a):
    return trigger, a
