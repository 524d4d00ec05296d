from ticktalk import GRAPHify, SQify, STREAMify, TTClock, firing, ms


@STREAMify
def src(trigger):
    return 1


@SQify
def work(x):
    it = firing()
    return it.interval.start_tick, it.interval.stop_tick, it.instant, it.late_by, it.deadline


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + ms(400)))
        x = src(window, TTPeriod=ms(200), TTDataIntervalWidth=ms(100))
        with TTDeadline(root_clock, ms(5)):
            y = work(x)
        return y
