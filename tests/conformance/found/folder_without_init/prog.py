from ticktalk import GRAPHify, SQify
from tools.add import plus_one


@SQify
def compute(x):
    import tools.inner.times as times

    return times.ten(plus_one(x))


@GRAPHify
def main(trigger):
    return compute(trigger)
