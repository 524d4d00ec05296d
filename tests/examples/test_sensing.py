"""The library of SQs in the examples: two programs use it; truth is the same arithmetic in plain Python."""

from __future__ import annotations

import json
import math
from pathlib import Path

from commands import ticktalk

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def values(program: str) -> list[object]:
    done = ticktalk("simulate", program, "--jsonl", "--until", "2s", cwd=EXAMPLES)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line)["value"] for line in done.stdout.splitlines()]


def samples(base: float, number: int) -> list[float]:
    return [round(base + math.sin(step / 4), 3) for step in range(number)]


def smooth(of: list[float], length: int) -> list[float]:
    windows = [of[max(0, end - length) : end] for end in range(1, len(of) + 1)]
    return [round(sum(window) / len(window), 3) for window in windows]


def test_the_climate_of_a_house() -> None:
    rooms = [smooth(samples(base, 9), 4) for base in (21.0, 18.5, 20.0)]
    means = [round(sum(now) / 3, 3) for now in zip(*rooms, strict=True)]
    assert values("climate.py") == [[mean, mean > 20.2] for mean in means]


def test_the_corridor_gives_what_plain_python_gives() -> None:
    of = samples(20.0, 4)
    assert values("corridor.py") == [[now > 20.5, calm] for now, calm in zip(of, smooth(of, 3), strict=True)]
