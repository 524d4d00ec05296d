"""`ticktalk new NAME`: a project to start from, with a program, drivers, a test and a deployment."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from ticktalk.errors import TTError
from ticktalk.module_search import find_module

PROGRAM = '''"""A sensor is read twice a second; a mean of the last values is compared with a limit."""

from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint, component, ms, sq_state


@STREAMify
def measure(trigger: int) -> float:
    return component("sensor").read()


@SQify
def mean(value: float, length: int = 4) -> float:
    global sq_state
    last = sq_state.setdefault("last", [])
    last.append(value)
    del last[:-length]
    return sum(last) / len(last)


@SQify
def judge(value: float, limit: float = 20.5) -> str:
    return f"{value:.2f}: {'too much' if value > limit else 'fine'}"


@GRAPHify
def NAME(trigger: int) -> str:
    with TTConstraint(name="field"):
        value = measure(trigger, TTPeriod=ms(500))
    with TTConstraint(name="office"):
        return judge(mean(value))
'''

DRIVERS = '''"""Drivers for the sensor. The real one belongs here, too."""


class Simulated:
    """Rises by a quarter at each look."""

    def __init__(self) -> None:
        self.value = 20.0

    def read(self) -> float:
        self.value += 0.25
        return self.value
'''

TEST = """from drivers import Simulated
from NAME import judge, mean


def test_the_mean_is_of_the_last_four() -> None:
    assert [mean(value) for value in (1, 2, 3, 4, 5)] == [1, 1.5, 2, 2.5, 3.5]


def test_above_the_limit_is_too_much() -> None:
    assert judge(20.5) == "20.50: fine"
    assert judge(20.6) == "20.60: too much"


def test_the_whole_graph(simulated) -> None:
    done = simulated("NAME.py", until="2s", component={"field.sensor": Simulated()})
    done.assert_values("20.25: fine", "20.38: fine", "20.50: fine")
"""

DEPLOYMENT = """# What the program runs on, and what its functions cost.
ensembles:
  - {name: field, components: [sensor], speed: 0.5}
  - {name: office}
links:
  - default: {latency: 5ms, bandwidth: 10Mbit/s}
costs:
  measure: {time: 2ms, bytes: 8B}
  mean: {time: 100us, bytes: 8B}
  judge: {time: 100us, bytes: 40B}
"""

README = """# NAME

    ticktalk simulate NAME.py --until 4s --component field.sensor=drivers:Simulated
    ticktalk simulate NAME.py --until 4s --component field.sensor=drivers:Simulated --deployment deployment.yaml
    ticktalk run NAME.py --until 4s --component field.sensor=drivers:Simulated
    ticktalk draw NAME.py -o NAME.svg
    python -m pytest
"""

FILES = {
    "NAME.py": PROGRAM,
    "drivers.py": DRIVERS,
    "test_NAME.py": TEST,
    "deployment.yaml": DEPLOYMENT,
    "README.md": README,
}


def new(
    name: Annotated[str, typer.Argument(help="The project's folder, and its program: a Python name, such as pump.")],
) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise typer.BadParameter(f"{name}: write a name of small letters, digits and _, such as pump")
    taken = {"drivers", "ticktalk", "pytest", *sys.stdlib_module_names, *keyword.kwlist, *re.findall(r"\w+", PROGRAM)}
    if name in taken:
        raise typer.BadParameter(f"{name}: Python or the project has this name already: write another, such as pump")
    there = find_module(name)
    if there is not None and there.origin is not None:
        raise typer.BadParameter(
            f"{name}: the installed module {name!r} would be hidden by a program of its name: write another name"
        )
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError:
        raise TTError(f"{folder}: there is something of that name already: choose another") from None
    except OSError as error:
        raise TTError(f"{folder}: cannot be made: {error.strerror}") from None
    try:
        for file, text in FILES.items():
            (folder / file.replace("NAME", name)).write_text(text.replace("NAME", name), "utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # so that it can be tried again
        raise TTError(f"{folder}: cannot be made: {error.strerror}") from None
    print(f"made {folder}: a program, drivers, a test and a deployment; {folder / 'README.md'} says what to try")
