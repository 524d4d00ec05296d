"""Sources every 3 ms and every 1 ms on two ensembles, a fusion on a third: 301 firings in 150 ms.

One sample of the slower source in 50 is missing: 4 ms after its instant a guess takes its place.
"""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, TTEmpty, TTFinishByOtherwise


@STREAMify
def slow(trigger):
    global sq_state
    ran()
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return TTEmpty() if n % 50 == 0 else 1


@STREAMify
def fast(trigger):
    ran()
    return 2


@SQify
def guess():
    ran()
    return 0


@SQify
def fuse(a, b):
    ran()
    return a + b


@SQify
def sink(x):
    ran()
    return TTEmpty()


@GRAPHify
def deadlines(trigger):
    with TTConstraint(name="one"):
        tag, a = slow(trigger, TTPeriod=3000)
    with TTConstraint(name="two"):
        b = fast(trigger, TTPeriod=1000)
    with TTConstraint(name="three"):
        data = TTFinishByOtherwise(a, TTTimeDeadline=tag + 4000, TTPlanB=guess())
        sink(fuse(data, b))
