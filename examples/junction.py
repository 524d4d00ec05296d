"""Two poles see cars come to a junction; a box fuses what they see, and says "unknown" when it has not come in time.

What this stands: `ticktalk explore junction.py --deployment junction.yaml --until 10s`.
"""

from ticktalk import (
    GRAPHify,
    SQify,
    STREAMify,
    TTConstraint,
    TTFinishByOtherwise,
    ms,
    sq_state,
)


@STREAMify
def north(trigger: int) -> int:
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return int(sq_state["n"] % 7)


@STREAMify
def south(trigger: int) -> int:
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 2
    return int(sq_state["n"] % 5)


@SQify
def fuse(one: int, other: int) -> str:
    return f"{one + other} cars"


@SQify
def unknown() -> str:
    return "unknown"


@GRAPHify
def junction(trigger: int) -> str:
    with TTConstraint(name="pole-north"):
        seen, one = north(trigger, TTPeriod=ms(200))
    with TTConstraint(name="pole-south"):
        other = south(trigger, TTPeriod=ms(200))
    with TTConstraint(name="box"):
        cars = fuse(one, other)
        return TTFinishByOtherwise(cars, TTTimeDeadline=seen + ms(80), TTPlanB=unknown())
