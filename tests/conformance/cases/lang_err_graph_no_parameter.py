from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main():
    return 3
