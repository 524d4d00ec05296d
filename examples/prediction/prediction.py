"""Placement that is predicted, and a failure: an image is taken, shrunk and classified where that suits best."""

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, ms, sq_state


@STREAMify
def take(trigger: int) -> int:
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def shrink(image: int) -> int:
    return image


@SQify
def classify(image: int) -> str:
    return f"image {image}: nothing new"


@GRAPHify
def prediction(trigger: int) -> str:
    with TTConstraint(name="camera"):
        image = take(trigger, TTPeriod=ms(500))
    return classify(shrink(image))
