"""The temperature of a house with three rooms, each smoothed, and whether it is too warm.

ticktalk simulate examples/climate.py --until 2s
ticktalk draw examples/climate.py -o climate.svg
"""

import sensing

from ticktalk import GRAPHify

ROOMS = {"kitchen": 21.0, "hall": 18.5, "study": 20.0}


@GRAPHify
def house(trigger: int) -> tuple[float, bool]:
    rooms = []
    for room, base in ROOMS.items():
        sample = sensing.thermometer(trigger, base=base, TTName=room)
        rooms.append(sensing.smooth(sample, TTName=f"smooth-{room}"))
    temperature = sensing.mean(rooms)
    return temperature, sensing.above(temperature, limit=20.2)
