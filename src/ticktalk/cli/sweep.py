"""Many simulated runs of one program, each in a process of its own: `ticktalk simulate --runs`, `ticktalk.sweep`.

The settings of a run are options of `ticktalk simulate`, without dashes. Each run is that command, so a run alone and
in a sweep give the same bytes, whatever runs beside it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from ticktalk.error_hints import wanted_by
from ticktalk.errors import TTError
from ticktalk.input_file import read_bytes
from ticktalk.source_problems import Problems, did_you_mean

FILES = ("deployment", "mapping", "events")
"""Settings that name a file."""

SETTINGS = ("until", "start", "seed", "input", "ensemble", "component", "network-delay", "notice", "checkpoint", *FILES)
"""The settings of a run; `input.NAME` is one input."""

MOST_RUNS = 1_000_000

TOLD = 2_000
"""Characters of what a run that failed has said, from its end."""


class SweepRun(NamedTuple):
    """One run, as it goes to the process that does it.

    Attributes:
        words: the words of the command after `ticktalk simulate`.
        files: by name, contents to which the words refer; empty: they refer to files of this machine.
    """

    words: list[str]
    files: dict[str, bytes]


def run_job(job: SweepRun) -> dict[str, Any]:
    """Do one run: `status`, `outputs` (a dict for each token, as in a log), `counters`, `errors`, `told`."""
    with tempfile.TemporaryDirectory(prefix="ticktalk-") as folder:
        for name, content in job.files.items():
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, name).write_bytes(content)
        summary = Path(folder, "summary.json")
        command = [sys.executable, "-P", "-m", "ticktalk.cli.entry", "simulate", *job.words]
        done = subprocess.run(
            [*command, "--jsonl", "--summary", str(summary)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=folder if job.files else None,
        )
        found = json.loads(summary.read_text("utf-8")) if summary.exists() else {"counters": {}, "errors": 0}
    return {
        "status": done.returncode,
        "outputs": [json.loads(line) for line in done.stdout.splitlines()],
        "outcome": hashlib.sha256(done.stdout.encode()).hexdigest()[:12],
        "told": done.stderr[-TOLD:] if done.returncode else "",
        **found,
    }


def combinations(vary: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """A dict of settings for each combination of values, the last setting changing first.

    Raises:
        TTError: a setting has one value in place of a list, or none.
    """
    for name, values in vary.items():
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            what = f"{name!r} in `vary` is {values!r}, of type {type(values).__name__!r}"
            raise TTError(f"{what}: give a list of values, such as [{values!r}]")
    found = {name: list(values) for name, values in vary.items()}
    if empty := [name for name, values in found.items() if not values]:
        raise TTError(f"{empty[0]!r} in `vary` has no value, so there is no run: give a list of values")
    return [dict(zip(found, values, strict=True)) for values in product(*found.values())]


def check_settings(settings: Iterable[str]) -> None:
    """Make sure that these are settings of a run.

    Raises:
        TTError: one is not.
    """
    for name in settings:
        if name not in SETTINGS and not (name.startswith("input.") and name != "input."):
            hint = did_you_mean(name, SETTINGS) or "settings are input.NAME, " + ", ".join(SETTINGS)
            raise TTError(f"a run has no setting {name!r}; {hint}")


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """The options of `ticktalk simulate` for the settings of a run.

    Raises:
        TTError: an input is no value that an option can give.
    """
    words = []
    for name, value in settings.items():
        if name == "input":
            words += [word for each, given in value.items() for word in ("--input", f"{each}={literal(each, given)}")]
        elif name.startswith("input."):
            each = name.removeprefix("input.")
            words += ["--input", f"{each}={literal(each, value)}"]
        elif value is not None:
            for each in value if isinstance(value, list | tuple) else [value]:
                words += [f"--{name}", str(each)]
    return words


def literal(name: str, value: Any) -> str:
    """The value of an input as Python writes it.

    Raises:
        TTError: what is written so is another value, such as of a date or of a NumPy number.
    """
    text = repr(value)
    try:
        if repr(ast.literal_eval(text)) == text:
            return text
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    what = f"input {name!r} is {text[:80]}, of type {type(value).__name__!r}, which an option cannot give"
    raise TTError(f"{what}: give text, or plain numbers (of NumPy: `array.tolist()`)")


def settings_of_run(fixed: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all runs and those of one, which come first; inputs one by one."""
    first = dict(own.get("input") or {})
    inputs = dict(fixed.get("input") or {}) | first
    over = {f"input.{name}" for name in first}
    settings = {name: value for name, value in fixed.items() if name not in over} | dict(own)
    settings.pop("input", None)
    for name in [name for name in inputs if f"input.{name}" in settings]:
        del inputs[name]
    return {**settings, **({"input": inputs} if inputs else {})}


def jobs_of(program: str, graph: str | None, runs: Sequence[Mapping[str, Any]], ship: bool) -> Iterator[SweepRun]:
    """The jobs of runs.

    Args:
        program: the program, or its graph file.
        graph: the name of the graph in it.
        runs: the settings of each.
        ship: with all files that it needs, for other machines.
    """
    if not ship:
        named = [] if graph is None else ["--graph", graph]
        for settings in runs:
            yield SweepRun([program, *named, *words_of(settings)], {})
        return
    from ticktalk.cli.arguments import load_graph

    compiled = load_graph(program, graph).to_json()
    drivers: dict[tuple[str, ...], dict[str, bytes]] = {}  # by components, their files
    for settings in runs:
        listed = settings.get("component") or ()
        components = (listed,) if isinstance(listed, str) else tuple(listed)
        if components not in drivers:
            drivers[components] = driver_files(components, Path(program).absolute().parent)
        files = {"graph.json": compiled, **drivers[components]}
        own = dict(settings)
        for name in FILES:
            if own.get(name) is not None:
                files[name] = read_bytes(own[name])
                own[name] = name
        yield SweepRun(["graph.json", *words_of(own)], files)


def driver_files(components: Iterable[str], near: Path) -> dict[str, bytes]:
    """The modules of components' factories, and those that they import, by file; what is installed is left out.

    Args:
        components: as `ENSEMBLE.NAME=MODULE:FACTORY`.
        near: the program's folder. As on this machine, modules in it go before those of the current directory.
    """
    from ticktalk.language.sibling_modules import sibling_modules

    modules = {option.partition("=")[2].partition(":")[0] for option in components}
    found: dict[str, bytes] = {}
    for folder in (Path.cwd(), near):
        for name, source in sibling_modules(folder, "", (), sorted(modules), Problems("", "")).items():
            found[f"{name.replace('.', '/')}.py"] = source.encode()
    return found


def results(
    program: str,
    runs: Sequence[Mapping[str, Any]],
    graph: str | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    done: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """The results of runs, in their order (`run_job`).

    Args:
        jobs: how many at a time; None: one for each processor.
        dask: the address of a Dask scheduler that runs them instead.
        done: called after each.

    Raises:
        TTError: an input cannot be given, Dask is not installed, or no scheduler answers.
    """
    made = list(jobs_of(program, graph, runs, dask is not None))
    if dask is not None:
        return _by_dask(dask, made, done)
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        futures = [pool.submit(run_job, job) for job in made]
        try:
            for future in as_completed(futures):
                future.result()
                done()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures]


def _by_dask(address: str, jobs: list[SweepRun], done: Callable[[], None]) -> list[dict[str, Any]]:
    with wanted_by("--dask"):
        distributed: Any = import_module("distributed")
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise TTError(f"--dask {address}: no Dask scheduler answers: {error}") from None
    with client:
        futures = client.map(run_job, jobs, pure=False)
        for _ in distributed.as_completed(futures):
            done()
        found: list[dict[str, Any]] = client.gather(futures)
    return found


def sweep(
    program: str | Path,
    vary: Mapping[str, Sequence[Any]] | None = None,
    runs: Iterable[Mapping[str, Any]] = (),
    *,
    graph: str | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Simulate a program under many settings: `pandas.DataFrame(ticktalk.sweep(...))` is a table of them.

    Args:
        program: the program, or a compiled graph.
        vary: by setting, its values: each combination is a run, such as `{"input.gain": [1, 2]}`.
        runs: further runs, each with its settings.
        graph: which graph of the program; None: the outermost one.
        jobs: runs at a time; None: one for each processor. The result is the same.
        dask: the address of a Dask scheduler that does the runs instead. Its workers get the modules of components'
            factories that lie beside the program, and what these import; what is installed has to be there.
        **settings: those of all runs, with `_` for `-`: `until="20s"`, `network_delay="2ms"`, `input={"x": 1}`.

    Returns:
        A dict for each run, in order: its settings, `status` (0: it ended well), `outcome` (equal for equal outputs),
        `outputs` (a list of dicts), `errors`, `told` (the last lines of a run that failed), and the counts of each
        kind, over all SQs.

    Raises:
        TTError: a setting is not known, or has no list of values to vary; or there is no such program.
    """
    fixed = {name.replace("_", "-"): value for name, value in settings.items()}
    runs = list(runs)
    if wrong := [each for each in runs if not isinstance(each, Mapping)]:
        raise TTError(f"`runs` is a list of settings, such as [{{'seed': 1}}], but {wrong[0]!r} is in it")
    own = [*(combinations(vary) if vary else []), *map(dict, runs)] or [{}]
    if not Path(program).is_file():
        raise TTError(f"{program}: the program cannot be read: there is no such file")
    check_settings([*fixed, *(name for each in own for name in each)])
    found = results(str(program), [settings_of_run(fixed, each) for each in own], graph, jobs, dask)
    return [row(each, result) for each, result in zip(own, found, strict=True)]


def row(settings: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """One run as a flat row: counts are sums over its SQs."""
    counts: dict[str, int] = {}
    for kinds in result["counters"].values():
        for kind, count in kinds.items():
            counts[kind] = counts.get(kind, 0) + count
    flat = {name: value for name, value in result.items() if name != "counters"}
    return {**settings, **flat, **counts}
