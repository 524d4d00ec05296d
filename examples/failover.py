"""A running average that survives the device it runs on: any of two may host it, and its state goes along."""

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, sq_state


@STREAMify
def sample(trigger: int) -> int:
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return int(sq_state["n"] % 10)


@SQify
def average(value: float) -> float:
    global sq_state  # saved every second, and restored elsewhere
    sq_state["count"] = sq_state.get("count", 0) + 1
    sq_state["sum"] = sq_state.get("sum", 0) + value
    return float(round(sq_state["sum"] / sq_state["count"], 2))


@GRAPHify
def failover(trigger: int) -> float:
    with TTConstraint(name="sensor"):
        value = sample(trigger, TTPeriod=500_000)
    with TTConstraint(name=["edge-1", "edge-2"]):
        return average(value)
