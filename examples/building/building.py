"""A day in a building with three rooms: each is heated when its mean over an hour is below what is wanted.

The temperatures of a day are played at their recorded times, one every ten minutes.
"""

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, component, firing, s, sq_state

ROOMS = {"office": 21.0, "hall": 18.0, "store": 12.0}
"""The temperature that is wanted in each room, degrees Celsius."""

TEN_MINUTES = s(600)


@STREAMify
def measure(trigger: int, room: str = "") -> float:
    return component("thermometers").at(firing().instant)[room]


@SQify
def hourly(celsius: float) -> float:
    global sq_state
    last = sq_state.setdefault("last", [])
    last.append(celsius)
    del last[:-6]
    return sum(last) / len(last)


@SQify
def heat(mean: float, wanted: float = 20.0) -> bool:
    """Whether to heat: on half a degree below what is wanted, off half a degree above it."""
    global sq_state
    on = sq_state.get("on", False)
    sq_state["on"] = mean < wanted + 0.5 if on else mean < wanted - 0.5
    return sq_state["on"]


@GRAPHify
def building(trigger: int) -> list[bool]:
    valves = []
    for room, wanted in ROOMS.items():
        with TTConstraint(name="basement"):
            celsius = measure(trigger, room=room, TTPeriod=TEN_MINUTES, TTName=room)
        valves.append(heat(hourly(celsius, TTName=f"mean-{room}"), wanted=wanted, TTName=f"heat-{room}"))
    return valves
