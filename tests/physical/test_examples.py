"""The examples that make sense on devices run there as they are: a process for each ensemble, in real time.

A machine that stands still makes a list late, or leaves an instant out. So a test waits for an output that shows what
the example promises, and of all others it wants what is true in any case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from systems import Process, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@contextmanager
def running(name: str, *options: str) -> Iterator[Process]:
    """An example that runs until the block ends."""
    process = Process("run", f"{name}.py", "--jsonl", *options, cwd=EXAMPLES / name)
    try:
        yield process
    finally:
        process.end()
    assert "error" not in process.said, process.said


def outputs(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.out]


def test_a_unit_fuses_what_two_cars_and_itself_see() -> None:
    cameras = [f"{car}.camera=cameras:{car.replace('-', '_')}" for car in ("car-a", "car-b", "unit")]
    with running("perception", *(word for camera in cameras for word in ("--component", camera))) as process:
        until(lambda: any(len(row["value"]) == 3 for row in outputs(process)), "all three lists are fused")
        rows = outputs(process)
    seen = [[kind for kind, *_ in row["value"]] for row in rows]
    # A list that is late is left out, and with it what only its camera sees.
    assert all(kinds == [kind for kind in ("cyclist", "truck", "child") if kind in kinds] for kinds in seen)
    assert {row["ensemble"] for row in rows} == {"unit"}


def test_the_tone_of_a_bearing_is_found() -> None:
    with running("vibration", "--ensemble", "machine", "--component", "machine.sensor=bearing:Bearing") as process:
        # Long after its third second the bearing hums at 47 Hz. A second that lacks samples may say otherwise.
        until(lambda: any(abs(row["value"] - 47) <= 1 for row in outputs(process)), "the tone is that of the bearing")
        rows = outputs(process)
    assert all(row["value"] == int(row["value"]) and 1 <= row["value"] <= 100 for row in rows)


def test_readings_are_cleaned_and_foretold_as_they_come() -> None:
    with running("riot", "--ensemble", "edge", "--component", "edge.load=load:Load") as process:
        places = {"roof", "cellar", "yard"}
        until(lambda: places == {row["value"][0]["place"] for row in outputs(process)}, "readings of each place come")
        rows = outputs(process)
    # A reading without a number gets the last of its sensor; outliers of 900 degrees are left out.
    assert all(-40 <= row["value"][0]["celsius"] <= 60 for row in rows)
    assert {row["value"][2] for row in rows} <= {1, 2, 3}
