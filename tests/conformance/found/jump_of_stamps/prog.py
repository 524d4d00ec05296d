from ticktalk import RESAMPLE, GRAPHify, SQify, STREAMify, TTEmpty, TTTime, TTToken

SECONDS = [10, 11, 1_000_000_000, 1_000_000_001]


@STREAMify
def read(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", -1) + 1
    return SECONDS[sq_state["n"]] if sq_state["n"] < len(SECONDS) else TTEmpty()


@SQify
def stamp(at, TTExecuteOnFullToken=True):
    middle = at.value * 1_000_000
    return TTToken(at.value, TTTime(at.time.clock, middle - 500_000, middle + 500_000))


@GRAPHify
def main(trigger):
    return RESAMPLE(stamp(read(trigger, TTPeriod=1_000_000)), TTPeriod=1_000_000)
