"""A source, a running average of its samples kept from firing to firing, a sink: 3 firings a sample."""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty


@STREAMify
def source(trigger):
    ran()
    return 3


@SQify
def mean(x):
    global sq_state
    ran()
    count = sq_state["count"] = sq_state.get("count", 0) + 1
    total = sq_state["total"] = sq_state.get("total", 0) + x
    return total / count


@SQify
def sink(x):
    ran()
    return TTEmpty()


@GRAPHify
def average(trigger):
    sink(mean(source(trigger, TTPeriod=1000)))
