"""Two sources of one period, a fusion by time, a sink with an output in 10,000 samples: 4 firings a sample."""

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
def sometimes(x):
    global sq_state
    ran()
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n if n % 10_000 == 0 else TTEmpty()


@GRAPHify
def heard(trigger):
    a = left(trigger, TTPeriod=1000)
    b = right(trigger, TTPeriod=1000)
    return sometimes(fuse(a, b))
