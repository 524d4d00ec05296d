"""Arguments of commands: durations, inputs, ensembles, components, programs."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import typer

from ticktalk.cli.streams import say
from ticktalk.durations import EPOCH_SECONDS, UNITS, Hz, instant_text, moment
from ticktalk.errors import TTError
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.ensembles import check_address, check_ensemble_name, check_host
from ticktalk.printable import bounded
from ticktalk.ranges import FARTHEST, REACH

DIGITS = 100
"""Characters of the number in a duration."""


def duration(text: str, option: str = "") -> int:
    """Microseconds in a duration such as `20s`, `5ms`, `1.5min`; `option` is where it was given, for messages.

    Raises:
        typer.BadParameter: it has no unit, is no whole number of microseconds, or is longer than a message may name.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s|min|h)", text.strip())
    given = f"{option} {bounded(text, DIGITS)!r}".lstrip()
    if match is None:
        raise typer.BadParameter(f"{given} is no duration: write a number and a unit (us, ms, s, min, h), such as 20s")
    if len(match[1]) > DIGITS:
        raise typer.BadParameter(f"{given} has more digits than any duration: {REACH}")
    whole, _, fraction = match[1].partition(".")
    ticks, rest = divmod(int(whole + fraction or "0") * UNITS[match[2]], 10 ** len(fraction))
    if rest:
        raise typer.BadParameter(f"{given} is no whole number of microseconds, the unit of the root clock")
    return not_too_far(ticks, given)


def not_too_far(ticks: int, given: str) -> int:
    """Ticks as they are.

    Raises:
        typer.BadParameter: they are more than a message may name; `given` is where they were.
    """
    if ticks > FARTHEST:
        raise typer.BadParameter(f"{given} is too long: {REACH}")
    return ticks


def size(text: str, option: str) -> int:
    """Bytes in a size such as `500MB`, as deployment files have them.

    Raises:
        typer.BadParameter: it is no size.
    """
    from ticktalk.yaml_file import size as size_in

    found = size_in(text.strip())
    if isinstance(found, str):
        raise typer.BadParameter(f"{option} {text!r}: {found}")
    return found


def worker_memory(text: str, workers: int) -> int:
    """Bytes that each worker process may take; 0: any number.

    Raises:
        typer.BadParameter: it is no size, or none that workers can have.
    """
    found = size(text, "--worker-memory")
    if found:
        from ticktalk.physical.workers.memory import problem

        if why := problem(found, workers):
            raise typer.BadParameter(f"--worker-memory {text}: {why}")
    return found


def cpus(text: str | None) -> list[int]:
    """The numbers of CPUs in a list such as `0,2`.

    Raises:
        typer.BadParameter: it is no such list.
    """
    if text is None:
        return []
    if not re.fullmatch(r"[0-9]{1,4}(,[0-9]{1,4})*", text):
        raise typer.BadParameter(f"--cpus {text!r} is no list of CPUs: write their numbers, such as 2 or 0,2")
    return sorted({int(number) for number in text.split(",")})


def start_tick(text: str) -> int:
    """The root tick of a date, of the next time that a clock shows this, or (in simulation) of a duration since 0.

    Raises:
        typer.BadParameter: it is none of them.
    """
    try:
        if text.isdecimal():
            return not_too_far(int(text), f"--start-at {bounded(text, DIGITS)}")
        return duration(text, "--start-at") if text.endswith(tuple(UNITS)) else moment(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--start-at {text!r} is no time: write a date such as '2026-11-29 12:30', a clock time such as 12:30:05,"
            " or in simulation a duration such as 5s"
        ) from None


TIMES = "a time after the start (6s), a clock time on the day of the start (12:30:05), a date, or a root tick"
"""The times that `recorded_tick` takes, for the help of commands."""


def recorded_tick(text: str, start: int) -> int:
    """The root tick that is meant in a run that started at the root tick `start`: see `TIMES`.

    Raises:
        typer.BadParameter: it is none, or before the start.
    """
    try:
        if text.strip().endswith(tuple(UNITS)):
            return start + duration(text)
        if text.strip().isdecimal():
            tick = int(text)
        elif start < EPOCH_SECONDS * 1_000_000 and re.match(r"\s*\d+:", text):
            raise typer.BadParameter(f"{text!r}: time began at 0 in this run: write a time after the start, such as 6s")
        else:
            # The start, without its fraction of a second: a clock time of that second is on its day.
            tick = moment(text, datetime.fromtimestamp(start // 1_000_000))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time: write {TIMES}") from None
    if tick < start - 1_000_000:
        raise typer.BadParameter(f"{text!r} is before the start, which was at {instant_text(start)}: write {TIMES}")
    return tick


def length(until: str | None, start: int | None) -> int | None:
    """The length of a run in microseconds, of a duration or a date at which it ends; `start`: its tick, by default now.

    Raises:
        typer.BadParameter: it is neither, or past, or no time at all, or a date where time begins at 0.
    """
    if until is None:
        return None
    begun = time.time_ns() // 1_000 if start is None else start
    if until.strip().endswith(tuple(UNITS)):
        found = duration(until, "--until")
        if not found:
            raise typer.BadParameter(f"--until {until}: nothing runs in no time: give a longer one, such as 20s")
        not_too_far(begun + found, f"--until {until!r}")
        return found
    try:
        if until.strip().isdecimal():
            raise ValueError  # a number whose unit was forgotten, though a clock may show it
        end = moment(until)
    except (ValueError, OverflowError):
        return duration(until, "--until")  # which says what to write
    if begun < EPOCH_SECONDS * 1_000_000:
        what = f"--until {until}: a date, but the run starts at {instant_text(begun)}"
        raise typer.BadParameter(f"{what}: give a duration, or --start-at a date")
    if end <= begun:
        raise typer.BadParameter(f"--until {until}: that is not after the start, {instant_text(begun)}")
    return end - begun


def rate(text: str) -> int | Fraction:
    """The period of a duration, or of a rate such as `60Hz`, in microseconds.

    Raises:
        typer.BadParameter: it is neither.
    """
    number = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*Hz", text.strip())
    if number is None:
        return duration(text, "period")
    try:
        return Hz(Fraction(number[1]))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def value(text: str) -> Any:
    """`text` as a Python literal, else as a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def inputs(options: Iterable[str]) -> dict[str, Any]:
    """`NAME=VALUE` options as values by input name.

    Raises:
        typer.BadParameter: there is no `=`, or a name is given twice.
    """
    values: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not equals or not name:
            raise typer.BadParameter(f"--input {option!r}: write NAME=VALUE, such as trigger=1")
        if name in values:
            raise typer.BadParameter(f"--input: {name!r} is given twice")
        values[name] = value(text)
    return values


class EnsembleOption(NamedTuple):
    """An ensemble as asked for on the command line: component name to factory `module:name`, or None."""

    name: str
    components: dict[str, str | None]


def ensembles(
    options: Iterable[str], components: Iterable[str], later: Iterable[str] = ()
) -> dict[str, EnsembleOption]:
    """`--ensemble NAME[=component,...]` and `--component ENSEMBLE.NAME=module:factory` options, by name.

    `later`: ensembles that join later; components may be given for them too.

    Raises:
        typer.BadParameter: an option is malformed, a name is given twice, a component's ensemble is not given.
    """
    made: dict[str, EnsembleOption] = {}
    for option in options:
        name, _, listed = option.partition("=")
        try:
            check_ensemble_name(name)
        except ValueError as error:
            raise typer.BadParameter(f"--ensemble {option!r}: {error}") from None
        if name in made:
            raise typer.BadParameter(f"--ensemble: {name!r} is given twice")
        made[name] = EnsembleOption(name, dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))
    given = bool(made)
    known = {"runtime-manager", *later}
    for option in components:
        place, equals, factory = option.partition("=")
        ensemble, dot, component = place.rpartition(".")
        if not equals or not dot or not ensemble or not component or not _is_factory(factory):
            raise typer.BadParameter(
                f"--component {option!r}: write ENSEMBLE.NAME=module:factory, such as edge.camera=drivers:Camera"
            )
        if ensemble not in made and given and ensemble not in known:
            raise typer.BadParameter(f"--component {option!r}: there is no --ensemble {ensemble}")
        made.setdefault(ensemble, EnsembleOption(ensemble, {})).components[component] = factory
    return made


def all_ensembles(
    graph: TTGraph, options: Iterable[str], components: Iterable[str], later: Iterable[str] = ()
) -> dict[str, EnsembleOption]:
    """The ensembles of a run on one machine: those asked for, else one per name that a constraint asks for.

    Raises:
        typer.BadParameter: as `ensembles`.
    """
    options = list(options)
    asked = ensembles(options, components, later)
    if options:
        return asked
    names = dict.fromkeys([*(name for name in constraint_names(graph) if name not in set(later)), *asked])
    return {name: asked.get(name) or EnsembleOption(name, {}) for name in names}


def own_components(options: Iterable[str]) -> dict[str, str | None]:
    """`--component NAME[=module:factory]` options of one ensemble.

    Raises:
        typer.BadParameter: an option is malformed, or a name is given twice.
    """
    made: dict[str, str | None] = {}
    for option in options:
        name, equals, factory = option.partition("=")
        if not name or (equals and not _is_factory(factory)):
            raise typer.BadParameter(
                f"--component {option!r}: write NAME or NAME=module:factory, such as camera=drivers:Camera"
            )
        if name in made:
            raise typer.BadParameter(f"--component: {name!r} is given twice")
        made[name] = factory if equals else None
        if not equals:
            say(f"--component {name}: it has no driver, so no body can use it; with one: {name}=module:factory")
    return made


def grid_changes(changes: Iterable[str]) -> dict[str, Any]:
    """`period=DURATION` (or a rate, `60Hz`) and `phase=DURATION` as microseconds by name; 0 needs no unit.

    Raises:
        typer.BadParameter: one is malformed, or given twice.
    """
    given: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if name not in ("period", "phase") or not equals:
            raise typer.BadParameter(f"{change!r}: write period=250ms or phase=0")
        if name in given:
            raise typer.BadParameter(f"{name} is given twice")
        given[name] = 0 if text.strip() == "0" else rate(text) if name == "period" else duration(text, "phase")
    return given


def address(text: str, option: str) -> str:
    """`text`, if it is `IP:PORT`.

    Raises:
        typer.BadParameter: it is not.
    """
    try:
        check_address(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from None
    return text


def own_ip(text: str) -> str:
    """`text`, if it may be the address of this host.

    Raises:
        typer.BadParameter: it may not.
    """
    try:
        check_host(text)
    except ValueError as error:
        raise typer.BadParameter(f"--ip {error}") from None
    return text


def _is_factory(text: str) -> bool:
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), *name.split(".")])


def load_graph(path: str, graph: str | None = None) -> TTGraph:
    """A graph file, or a program compiled on the way; `graph` is which of the program's graphs is meant.

    Raises:
        TTError: it is neither; a `TTSyntaxError` lists every problem of a program.
    """
    if path.endswith(".json"):
        if graph is not None:
            raise typer.BadParameter("--graph is for a program: a compiled graph is only one")
        return TTGraph.load(path)
    from ticktalk.language.compiler import compile_program  # an ensemble never needs it

    return compile_program(path, graph)


def constraint_names(graph: TTGraph) -> list[str]:
    """The names that constraints ask for, in the order of first mention."""
    return list(
        dict.fromkeys(
            name for sq in sorted(graph.sqs, key=lambda sq: sq.line) for c in sq.constraints for name in c.names
        )
    )


def check_different(read: Mapping[str, str | Path | None], /, **files: Path | None) -> None:
    """See that no two options name one file to be written, and that none names a file that is read.

    Args:
        read: what the files are that are read, such as "the program", and their paths.
        files: by option, the files to be written.

    Raises:
        TTError: one does.
    """
    seen = {Path(path).resolve(): what for what, path in read.items() if path is not None}
    for name, path in files.items():
        option = f"--{name.replace('_', '-')}"
        if path is None:
            continue
        other = seen.setdefault(path.resolve(), option)
        if other != option and not path.is_char_device():
            raise TTError(f"{option} {path}: that is the file of {other}, which would be lost: name another file")
