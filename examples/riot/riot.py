"""ETL, statistics and prediction over readings of many sensors, in the shape of RIoTBench's dataflows.

A reading is parsed, its outliers are taken out, gaps are filled, and it is annotated (ETL). Beside that, a running mean
and a count of distinct sensors are kept (STATS), and a line through the last values foretells the next one (PRED).
"""

from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty, component, firing, ms, sq_state


@STREAMify
def arrive(trigger: int) -> str:
    return component("load").line(firing().instant)


@SQify
def parse(line: str) -> dict:
    sensor, celsius, humidity = line.split(",")
    return {"sensor": sensor, "celsius": float(celsius) if celsius else None, "humidity": float(humidity)}


@SQify
def in_range(reading: dict, low: float = -40.0, high: float = 60.0) -> dict | TTEmpty:
    celsius = reading["celsius"]
    return reading if celsius is None or low <= celsius <= high else TTEmpty()


@SQify
def fill(reading: dict) -> dict:
    """A missing temperature is the last one of the same sensor."""
    global sq_state
    if reading["celsius"] is None:
        return {**reading, "celsius": sq_state.get(reading["sensor"], 0.0)}
    sq_state[reading["sensor"]] = reading["celsius"]
    return reading


@SQify
def annotate(reading: dict, places: dict = {"a": "roof", "b": "cellar", "c": "yard"}) -> dict:  # noqa: B006
    return {**reading, "place": places[reading["sensor"]]}


@SQify
def mean(reading: dict) -> float:
    global sq_state
    count, total = sq_state.get("all", (0, 0.0))
    sq_state["all"] = count + 1, total + reading["celsius"]
    return sq_state["all"][1] / sq_state["all"][0]


@SQify
def distinct(reading: dict) -> int:
    global sq_state
    seen = sq_state.setdefault("seen", set())
    seen.add(reading["sensor"])
    return len(seen)


@SQify
def predict(reading: dict, length: int = 8) -> float:
    """The next temperature, on the line of least squares through the last ones."""
    global sq_state
    last = sq_state.setdefault("last", [])
    last.append(reading["celsius"])
    del last[:-length]
    n = len(last)
    if n < 2:
        return last[-1]
    middle, average = (n - 1) / 2, sum(last) / n
    slope = sum((i - middle) * (y - average) for i, y in enumerate(last)) / sum((i - middle) ** 2 for i in range(n))
    return average + slope * (n - middle)


@GRAPHify
def riot(trigger: int) -> tuple:
    clean = annotate(fill(in_range(parse(arrive(trigger, TTPeriod=ms(10))))))
    return clean, mean(clean), distinct(clean), predict(clean)
