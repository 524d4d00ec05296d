from ticktalkpython.SQ import SQify as node, STREAMify as source, GRAPHify as net

@source
def src(trigger):
    return 5

@node
def f(x):
    return x + 1

@net
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, start_time + 1000000))
        s = src(window, TTClock=root_clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        return f(s)
