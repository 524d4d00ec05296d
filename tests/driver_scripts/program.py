"""The program that the scripts run: pulses 1 to 5, of which plan B replaces the even ones 30 ms later."""

from ticktalkpython.SQ import SQify, STREAMify, GRAPHify
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import *
from ticktalkpython.Empty import TTEmpty
from ticktalkpython.Deadline import TTFinishByOtherwise, TTSingleRunTimeout
from ticktalkpython.Query import TTConstraint


@STREAMify
def pulse(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n


@SQify
def odd(x):
    return x if x % 2 else TTEmpty()


@SQify
def late(x):
    return -x


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start_time = READ_TTCLOCK(trigger, TTClock=root_clock)
        stop_time = start_time + 1000000
        sample_window = COPY_TTTIME(1, VALUES_TO_TTTIME(start_time, stop_time))
        with TTConstraint(name="ens1"):
            tag, n = pulse(sample_window, TTClock=root_clock, TTPeriod=200000, TTPhase=0, TTDataIntervalWidth=50000)
        return TTFinishByOtherwise(
            odd(n),
            TTTimeDeadline=tag + 30000,
            TTPlanB=TTSingleRunTimeout(late(n), TTTimeout=100000),
            TTWillContinue=True,
        )
