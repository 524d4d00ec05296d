"""A source, 20 stages in a line, a sink: 22 firings a sample."""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty


@STREAMify
def source(trigger):
    ran()
    return 1


@SQify
def stage(x):
    ran()
    return x + 1


@SQify
def sink(x):
    ran()
    return TTEmpty()


@GRAPHify
def pipeline(trigger):
    x = source(trigger, TTPeriod=1000)
    for _ in range(20):
        x = stage(x)
    sink(x)
