"""Sources every 1 ms and every 3 ms, a fusion of those of one instant, a sink: 6 firings in 3 ms."""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty


@STREAMify
def fast(trigger):
    ran()
    return 1


@STREAMify
def slow(trigger):
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
def thirds(trigger):
    a = fast(trigger, TTPeriod=1000)
    b = slow(trigger, TTPeriod=3000)
    sink(fuse(a, b))
