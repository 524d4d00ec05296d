from ticktalk import GRAPHify, Hz, STREAMify, TTClock, ms


@STREAMify
def camera(trigger):
    return 1


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + ms(100)))
        return camera(window, TTPeriod=Hz(60), TTDataIntervalWidth=ms(8))
