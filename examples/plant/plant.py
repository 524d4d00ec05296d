"""A closed loop: a tank is kept at a level by a pump. The tank is a SimPy process, so it lives in the same time.

The sensor reads the level ten times a second. The controller is proportional and integral. The pump gets the value on
the device that has it.
"""

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, component, ms, sq_state


@STREAMify
def level(trigger: int) -> float:
    return component("tank").level


@SQify
def control(metres: float, wanted: float = 2.0) -> float:
    """The flow of the pump, litres a second, from 0 to 10."""
    global sq_state
    error = wanted - metres
    total = sq_state.get("total", 0.0)
    flow = 4.0 * error + 0.5 * (total + error * 0.1)
    if 0.0 < flow < 10.0:
        total += error * 0.1  # not while the pump is at an end: the integral would run away
    sq_state["total"] = total
    return min(10.0, max(0.0, flow))


@SQify
def pump(flow: float) -> float:
    component("tank").inflow = flow
    return flow


@GRAPHify
def plant(trigger: int) -> float:
    with TTConstraint(name="tower"):
        metres = level(trigger, TTPeriod=ms(100))
    with TTConstraint(name="cabinet"):
        flow = control(metres)
    with TTConstraint(name="tower"):
        return pump(flow)
