"""A car and a camera on a pole look at a crossing. If the camera's picture is late, the car is careful."""

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, TTFinishByOtherwise, ms


@STREAMify
def camera(trigger: int) -> str:
    return "a cyclist"


@STREAMify
def radar(trigger: int) -> float:
    return 12.5


@SQify
def unknown() -> str:
    return "something"


@SQify
def warn(what: str, metres: float) -> str:
    return f"{what}, {metres} m ahead"


@GRAPHify
def crossing(trigger: int) -> str:
    with TTConstraint(name="pole"):
        tag, seen = camera(trigger, TTPeriod=ms(200), TTDataIntervalWidth=ms(60))
    with TTConstraint(name="car"):
        metres = radar(trigger, TTPeriod=ms(80), TTDataIntervalWidth=ms(60))
        what = TTFinishByOtherwise(seen, TTTimeDeadline=tag + ms(50), TTPlanB=unknown())
        return warn(what, metres)
