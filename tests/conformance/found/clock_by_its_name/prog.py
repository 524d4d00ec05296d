from ticktalk import GRAPHify, STREAMify, TTClock


@STREAMify
def beat(trigger):
    return "beat"


@GRAPHify
def main(trigger):
    with TTClock("root") as root:
        with TTClock("tenths", root, 100_000, 0) as tenths:
            return beat(trigger, TTClock=tenths, TTPeriod=1)
