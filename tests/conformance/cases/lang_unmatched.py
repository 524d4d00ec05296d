from ticktalk import GRAPHify, SQify, STREAMify, TTClock, TTEmpty, ms, s


@STREAMify
def camera(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def lidar(n):
    return TTEmpty() if n % 4 == 2 else n * 10


@SQify
def fuse(image, points):
    return image + points


@SQify
def alone(value, interval, missing):
    return {"value": value, "ticks": [interval.start_tick, interval.stop_tick], "missing": missing}


@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + s(70)))
        image = camera(window, TTPeriod=s(10), TTDataIntervalWidth=ms(100))
        fuse(image, lidar(image), TTUnmatched=alone)
