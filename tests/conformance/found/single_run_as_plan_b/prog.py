from ticktalk import *


@STREAMify
def count(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def silent(n):
    return TTEmpty()


@SQify
def instead(n):
    return -n


@GRAPHify
def main(trigger):
    tag, n = count(trigger, TTPeriod=200_000)
    return TTFinishByOtherwise(
        silent(n),
        TTTimeDeadline=READ_TTCLOCK(tag) + 50_000,
        TTPlanB=TTSingleRunTimeout(instead(n), TTTimeout=60_000),
        TTWillContinue=True,
    )
