import ticktalk as tt

@tt.STREAMify
def src(trigger):
    return 5

@tt.GRAPHify
def main(trigger):
    with tt.TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1000000))
        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        return s
