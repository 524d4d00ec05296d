"""Two cars and a road-side unit see the same crossing. Their lists of objects are fused, and late ones are left out.

The road-side unit fuses what is of the same time. A list that is not there 60 ms after it was taken is replaced by an
empty one, so the fusion never waits.
"""

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, TTFinishByOtherwise, component, ms

Objects = list[tuple[str, float, float]]
"""Kind and place of each object, metres in the frame of the crossing."""


@STREAMify
def look(trigger: int) -> Objects:
    return component("camera").objects()


@SQify
def nothing() -> Objects:
    return []


@SQify
def fuse(one: Objects, two: Objects, three: Objects, near: float = 2.0) -> Objects:
    found: Objects = []
    for kind, x, y in [*one, *two, *three]:
        if not any(kind == other and abs(x - u) + abs(y - v) < near for other, u, v in found):
            found.append((kind, x, y))
    return found


@GRAPHify
def perception(trigger: int) -> Objects:
    seen = []
    for name in ["car-a", "car-b", "unit"]:
        with TTConstraint(name=name):
            tag, objects = look(trigger, TTPeriod=ms(200), TTDataIntervalWidth=ms(100), TTName=f"look-{name}")
        with TTConstraint(name="unit"):
            seen.append(TTFinishByOtherwise(objects, TTTimeDeadline=tag + ms(60), TTPlanB=nothing()))
    with TTConstraint(name="unit"):
        return fuse(*seen)
