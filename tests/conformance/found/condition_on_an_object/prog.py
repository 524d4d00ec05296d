from dataclasses import dataclass

from ticktalk import GRAPHify, SQify, STREAMify


@dataclass
class Queue:
    length: int

    def __bool__(self):
        return self.length > 1


@STREAMify
def watch(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", -1) + 1
    return Queue(sq_state["n"] % 3)


@SQify
def hold(queue):
    return ["hold", queue.length]


@GRAPHify
def main(trigger):
    queue = watch(trigger, TTPeriod=100_000)
    return hold(queue) if queue else "go"
