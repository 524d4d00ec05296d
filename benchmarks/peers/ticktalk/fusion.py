"""Two sources of one period, a fusion by time, a sink: 4 firings a sample."""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty


@STREAMify
def left(trigger):
    ran()
    return 1


@STREAMify
def right(trigger):
    ran()
    return 2


@SQify
def fuse(a, b):
    ran()
    return a + b


@SQify
def sink(x):
    ran()
    return TTEmpty()


@GRAPHify
def fusion(trigger):
    a = left(trigger, TTPeriod=1000)
    b = right(trigger, TTPeriod=1000)
    sink(fuse(a, b))
