"""The fusion of `fusion.py`, each source and the fusion on an ensemble of its own."""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, TTEmpty


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
def hosts(trigger):
    with TTConstraint(name="one"):
        a = left(trigger, TTPeriod=1000)
    with TTConstraint(name="two"):
        b = right(trigger, TTPeriod=1000)
    with TTConstraint(name="three"):
        sink(fuse(a, b))
