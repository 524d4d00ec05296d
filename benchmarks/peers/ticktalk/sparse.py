"""1,000 sources, no two of one period, each with a sink of its own: 2 firings an instant."""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty


@STREAMify
def source(trigger):
    ran()
    return 1


@SQify
def sink(x):
    ran()
    return TTEmpty()


@GRAPHify
def sparse(trigger):
    for i in range(1000):
        sink(source(trigger, TTPeriod=10_000 + 37 * i))
