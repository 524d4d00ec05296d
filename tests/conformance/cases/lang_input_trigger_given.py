from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(trigger):
    return trigger + 1
