"""Testing programs: a run in simulated time whose assertions show a time line, and say why an output is what it is.

With pytest installed, the fixture `simulated` gives `run` with paths that are beside the test. `sq_state` of plain
functions is emptied before each test.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import typer

from ticktalk.cli.arguments import duration
from ticktalk.cli.simulated_run import Simulated, simulate
from ticktalk.durations import interval_text
from ticktalk.engine.tap import Tap
from ticktalk.errors import TTError
from ticktalk.explain.history import History, after
from ticktalk.explain.silence import silence_line
from ticktalk.explain.which_version import of_any, version_at
from ticktalk.explain.why import shown_value, token_at, why, why_missing
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.tapping import Tapped
from ticktalk.payloads import OutputToken, StartContext
from ticktalk.records import AnyRecord, TookOver
from ticktalk.runtime_manager import TTRuntimeManagerSim
from ticktalk.time import INFINITY, Tick
from ticktalk.values.classes import as_data
from ticktalk.values.codec import decode_value

SHOWN = 12
"""Tokens of a time line on each side of what is looked at."""

When = int | str
"""A time after the start: microseconds, or a text with its unit, such as "250ms"."""


class _Version(NamedTuple):
    """A version of the graph: from when on its streams fired, and what happened in it."""

    since: int
    graph: TTGraph
    records: list[tuple[str, AnyRecord]]


class Run(Simulated):
    """The outputs of a program in simulated time, with all that happened.

    Attributes:
        silent: a line for each SQ that never fired, or whose tokens mostly left unused.
    """

    def __init__(self, done: Simulated, versions: Sequence[_Version], start: int, silent: list[str]) -> None:
        self.__dict__.update(vars(done))
        self.silent = silent
        self._versions = versions
        self._start = start

    def of(self, sq: str) -> list[OutputToken]:
        """The outputs of one SQ, in order of arrival.

        Raises:
            ValueError: the graph has no such SQ, and a version that replaced it gave no output of one.
        """
        found = [token for token in self.outputs if token.sq == sq]
        names = [each.name for each in self.graph.sqs]
        if not found and sq not in names:
            raise ValueError(f"graph {self.graph.name!r} has no SQ {sq!r}: {', '.join(names)}")
        return found

    def why(self, sq: str, at: When) -> str:
        """The tokens that an output came from, back to the streams, in words.

        Args:
            sq: the SQ that gave it.
            at: a time in its interval.
        """
        tick = _ticks(at)

        def of(version: _Version) -> str:
            history = self._history(version)
            return why(history, token_at(history, sq, tick), _shown).text()

        return of_any(self._versions, tick + self._start, of)[1]

    def why_missing(self, sq: str, at: When) -> str:
        """The reason why an SQ gave nothing for a time, and the least change that would help, in words."""
        tick = _ticks(at)
        version = version_at(self._versions, tick + self._start)
        return why_missing(self._history(version), sq, tick, _shown).text()

    def assert_values(self, *values: Any, sq: str | None = None) -> None:
        """The outputs, of all SQs or of one, have these values, in this order, and there are no others."""
        __tracebackhide__ = True
        tokens = self.outputs if sq is None else self.of(sq)
        self._compare(tokens, [(value, None, None) for value in values])

    def assert_tokens(self, *tokens: tuple[Any, When, When], sq: str | None = None) -> None:
        """The outputs are these: each a value, with the start and stop of its interval, after the start of the run."""
        __tracebackhide__ = True
        wanted = [(value, _ticks(start) + self._start, _ticks(stop) + self._start) for value, start, stop in tokens]
        self._compare(self.outputs if sq is None else self.of(sq), wanted)

    def assert_no_errors(self) -> None:
        """No firing raised."""
        __tracebackhide__ = True
        if self.errors:
            told = [f"{error.sq}: {error.file}:{error.line}: {error.exception}" for error in self.errors[:SHOWN]]
            raise AssertionError(f"{len(self.errors)} firings raised:\n  " + "\n  ".join(told))

    def assert_same_as(self, recording: str | Path, outputs: Iterable[str] = ()) -> None:
        """The outputs are those of a recording (`--record`): the same values on the same intervals after the start.

        Args:
            recording: the file.
            outputs: the SQs that count; none: all.

        Raises:
            TTError: the file is no recording, or there is no such SQ.
        """
        __tracebackhide__ = True
        from ticktalk.recording.mcap_file import read_recording
        from ticktalk.recording.outputs_compared import Pair, compared, kind_of

        read = read_recording(recording)
        versions = {version.setup.context: version.setup for version in read.versions()}
        former = TTGraph.from_json([*versions.values()][-1].graph.encode(), str(recording))
        names = set(outputs)
        for name in names - {sq.name for graph in (former, self.graph) for sq in graph.sqs}:
            raise TTError(f"there is no SQ {name!r}, neither in {recording} nor in {self.graph.name}")
        was = [
            record for number, setup in versions.items() for _, record in after(setup.start_tick, read.records(number))
        ]
        all_records = {id(version.records): version.records for version in self._versions}.values()
        now = [record for records in all_records for _, record in after(self._start, records)]
        pairs: dict[str, list[Pair]] = {}
        other = [
            f"  {output.name}: {difference.how}: {difference.was or 'nothing'} -> {difference.now or 'nothing'}"
            for output in compared(former, was, self.graph, now, INFINITY, pairs).outputs
            if not output.is_same and (not names or output.name in names)
            for difference in output.differences[:SHOWN]
        ]
        if other:
            differing = [
                (sq, sent, there is None)
                for sq, found in pairs.items()
                for recorded, there in found
                if (not names or sq in names) and kind_of((recorded, there)) != "same"
                if (sent := there or recorded) is not None
            ]
            sq, first, is_gone = min(differing, key=lambda each: each[1].tick)
            number = sum(token.start < first.start + self._start for token in self.outputs)
            said = f"other outputs than in {recording}:\n" + "\n".join(other)
            reason = self._reason(self.why_missing if is_gone else self.why, sq, first.start)
            raise AssertionError(self._told(said, self.outputs, number, reason))

    def _compare(self, got: Sequence[OutputToken], wanted: Sequence[tuple[Any, Tick | None, Tick | None]]) -> None:
        __tracebackhide__ = True
        for number, (token, (value, start, stop)) in enumerate(zip(got, wanted, strict=False)):
            if not _same(token.value, value):
                said = f"output {number + 1} is {token.value!r}, wanted {value!r}"
            elif start is not None and (token.start, token.stop) != (start, stop):
                have, want = interval_text(token.start, token.stop), interval_text(start, stop or start)
                said = f"output {number + 1}, {token.value!r}, holds in {have}, wanted {want}"
            else:
                continue
            raise AssertionError(self._told(said, got, number, self._why_of(token)))
        if len(got) > len(wanted):
            token = got[len(wanted)]
            said = f"{len(got)} outputs, wanted {len(wanted)}; the first too many is {token.value!r}"
            raise AssertionError(self._told(said, got, len(wanted), self._why_of(token)))
        if len(got) < len(wanted):
            value, start, _ = wanted[len(got)]
            said = f"{len(got)} outputs, wanted {len(wanted)}; the first that is missing is {value!r}"
            raise AssertionError(self._told(said, got, len(got), self._why_not(start)))

    def _told(self, said: str, got: Sequence[OutputToken], number: int, reason: str) -> str:
        near = got[max(0, number - SHOWN) : number + SHOWN]
        parts = [said, "time line:", self.timeline(near)]
        if reason:
            parts += ["why:", *(f"  {line}" for line in reason.split("\n"))]
        if self.errors:
            error = self.errors[0]
            parts.append(f"{len(self.errors)} firings raised; the first: {error.sq}: {error.exception}")
        return "\n".join(parts)

    def _why_of(self, token: OutputToken) -> str:
        return self._reason(self.why, token.sq, token.start - self._start)

    @staticmethod
    def _reason(explain: Callable[[str, When], str], sq: str, start: Tick) -> str:
        """An explanation, or why there is none; of tokens that hold for ever: ""."""
        try:
            return explain(sq, int(start)) if abs(start) != INFINITY else ""
        except TTError as error:
            return str(error)

    def _why_not(self, start: Tick | None) -> str:
        ends = [sq.name for sq in self.graph.sqs if any(arc.output for arc in sq.arcs)]
        if start is not None and len(ends) == 1:
            return self.why_missing(ends[0], int(start) - self._start)
        return "\n".join(self.silent)

    def _history(self, version: _Version) -> History:
        return History(version.graph, after(self._start, version.records), self._start)


def run(
    program: str | Path | TTGraph,
    *,
    events: str | Path | Sequence[Mapping[str, Any]] | None = None,
    deployment: str | Path | Mapping[str, Any] | None = None,
    **options: Any,
) -> Run:
    """Run a program in simulated time, and take note of all that happens.

    Args:
        program: a program's path, or a compiled graph.
        events: a file, or what it would hold: `[{"at": "2s", "fail": "edge"}]`.
        deployment: a file, or what it would hold.
        options: as for `ticktalk.simulate`: `until`, `input`, `component`, `network_delay`, ...

    Raises:
        TTError: the program is wrong, cannot be placed, or an argument is wrong.
    """
    found: dict[int, _Version] = {}  # by context
    versions: list[_Version] = []
    managers: list[TTRuntimeManagerSim] = []

    def watch(manager: TTRuntimeManagerSim) -> None:
        managers.append(manager)

        def tap(ensemble: str, start: StartContext) -> Tap:
            if start.context not in found:
                graph = manager.process.state.graphs[start.graph].graph
                found[start.context] = _Version(start.start_tick, graph, [])
                if len(found) == 1:  # others take over, or come to nothing
                    versions.append(found[start.context])
            return Tapped(partial(_note, found[start.context].records, ensemble), manager.simulation.now)

        def took_over(note: TookOver) -> None:
            versions.extend(found[new]._replace(since=note.at) for new in note.contexts.values())

        manager.simulation.tap, manager.simulation.took_over = tap, took_over

    with tempfile.TemporaryDirectory() as folder:
        try:
            done = simulate(
                program,
                events=_as_file(events, Path(folder) / "events.yaml"),
                deployment=_as_file(deployment, Path(folder) / "deployment.yaml"),
                watch=watch,
                **options,
            )
        except TTError as error:
            # The test gave no file, so the message says `events.yaml:2`, without the folder that is gone by then.
            if folder not in str(error):
                raise
            raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from None
    if not versions:
        versions.append(_Version(0, done.graph, []))
    silent = [silence_line(entry) for graph in managers[0].status()["graphs"] for entry in graph["silent"]]
    return Run(done, versions, versions[0].since, silent)


def _note(records: list[tuple[str, AnyRecord]], ensemble: str, record: AnyRecord) -> None:
    records.append((ensemble, record))


def _as_file(given: Any, path: Path) -> str | Path | None:
    if given is None or isinstance(given, (str, Path)):
        return given
    import yaml

    if isinstance(given, list | tuple):
        given = with_programs(given, lambda program: str(Path(program).absolute()))
    path.write_text(yaml.safe_dump(given, sort_keys=False), "utf-8")
    return path


def with_programs(events: Sequence[Mapping[str, Any]], find: Callable[[str | Path], Any]) -> list[Any]:
    """The same events, with what `find` gives for the paths of programs that replace others."""

    def found(replace: Any) -> Any:
        if isinstance(replace, Mapping) and "program" in replace:
            return {**replace, "program": found(replace["program"])}
        return find(replace) if isinstance(replace, (str, Path)) else replace  # else its reader says what is wrong

    return [
        {**each, "replace": found(each["replace"])} if isinstance(each, Mapping) and "replace" in each else each
        for each in events
    ]


def _ticks(time: When) -> int:
    if not isinstance(time, int | str):
        raise TTError(f"{time!r} is no time: write ticks, or a text with its unit, such as '200ms'")
    try:
        return time if isinstance(time, int) else duration(time)
    except typer.BadParameter as error:
        raise TTError(error.message) from None


def _same(one: Any, other: Any) -> bool:
    """True if two values are equal; arrays are if they have one shape and each element is. NaN is NaN."""
    if isinstance(one, float) and isinstance(other, float) and one != one:
        return other != other
    if getattr(one, "shape", ()) != getattr(other, "shape", ()):  # a NumPy scalar has (), as a plain number
        return False
    equal = one == other
    every: Callable[[], Any] | None = getattr(equal, "all", None)
    return bool(every() if every is not None else equal)


def _shown(data: bytes) -> str:
    return shown_value(decode_value(data, as_data)) if data else "(a value that was too long to note)"


__all__ = ["Run", "run"]
