"""Sources every 1 ms and every 1.5 ms, a fusion whose partners only run time tells, a sink: 9 firings in 3 ms.

The default intervals are half a period wide. In each 3 ms the slower source's samples are at 1.5 ms, which overlaps
the faster one's at 1 ms (and at 2 ms, which comes later and finds it used), and at 3 ms, which meets the one at 3 ms. A
third of the faster one's samples stays without partner, and is evicted in the end.
"""

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
def rates(trigger):
    a = fast(trigger, TTPeriod=1000)
    b = slow(trigger, TTPeriod=1500)
    sink(fuse(a, b))
