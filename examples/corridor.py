"""One sensor, looked at twice: quickly, and smoothed over a longer time.

ticktalk simulate examples/corridor.py --until 2s
"""

from sensing import above, smooth

from ticktalk import GRAPHify


@GRAPHify
def corridor(trigger: int) -> tuple[bool, float]:
    from sensing.sources import PERIOD, thermometer

    sample = thermometer(trigger, TTPeriod=2 * PERIOD)
    alarm = above(sample)
    calm = smooth(sample, length=3)
    return alarm, calm
