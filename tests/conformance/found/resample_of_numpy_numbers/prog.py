import numpy as np
from ticktalk import RESAMPLE, GRAPHify, SQify, STREAMify


@STREAMify
def wave(trigger, kind="uint8", low=0, high=255):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return np.dtype(kind).type(high if sq_state["n"] % 2 else low)


@SQify
def plain(x):
    return float(x)


@GRAPHify
def main(trigger):
    plain(RESAMPLE(wave(trigger, kind="uint8", low=55, TTPeriod=1_000_000), TTPeriod=500_000, order=1))
    plain(RESAMPLE(wave(trigger, kind="int16", low=-30000, high=30000, TTPeriod=1_000_000), TTPeriod=500_000, order=1))
    plain(RESAMPLE(wave(trigger, kind="float16", low=2, high=60000, TTPeriod=1_000_000), TTPeriod=500_000, order=1))
