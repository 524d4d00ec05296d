"""Outputs and errors that the firings of all ensembles send to the manager."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec

from ticktalk.errors import InvalidMessageError
from ticktalk.json_text import whole_pairs
from ticktalk.log_file import LogFile
from ticktalk.manager.latency import Latencies
from ticktalk.manager.state import ContextState, GraphState, ManagerState
from ticktalk.payloads import FiringError, OutputToken
from ticktalk.replacement import title_of

ERRORS_KEPT = 1000
"""The number of firing errors that the manager remembers; all are counted."""

ERRORS_LENGTH = 4 << 20
"""Characters of their texts."""

LONGEST_ROW = 1 << 20
"""Characters of a row that is kept for late requesters, or published to those that follow."""

ROWS_LENGTH = 16 << 20
"""Characters of all rows of one graph that are kept."""


class Outputs:
    """Takes output tokens: counts them, appends them to a file, one JSON object a line, and tells the listeners.

    Args:
        state: all that the manager knows.
        log_file: a path, an open text file, or None for no file.
        rows_kept: of each graph, as JSON lines in the state; 0: none.

    Attributes:
        timed: how long outputs take is noted.

    Raises:
        TTError: the file cannot be opened.
    """

    def __init__(self, state: ManagerState, log_file: Any = None, rows_kept: int = 0) -> None:
        self._state = state
        self.rows_kept = rows_kept
        self.timed = True
        self.log = LogFile(log_file) if log_file is not None else None
        self.listeners: list[Callable[[OutputToken], None]] = []
        self.row_listeners: list[Callable[[str, str], None]] = []  # told the graph and the row, where rows are kept
        self._others = 0  # outputs of contexts that are not there any more
        self._counts: dict[int, dict[str, int]] = {}  # by context that is there: where its outputs are counted
        self._latencies: dict[str, Latencies] = {}  # by graph

    def begin(self, context: ContextState) -> None:
        """A context was started: its outputs count."""
        self._counts[context.number] = context.outputs

    def forget(self, context: ContextState) -> None:
        """A graph was stopped: outputs of its contexts that still come do not count."""
        self._others += sum(self._counts.pop(context.number).values())

    @property
    def count(self) -> int:
        """The number of outputs that have come."""
        return self._others + sum(sum(counts.values()) for counts in self._counts.values())

    def take(self, token: OutputToken, arrival: int) -> None:
        """Take one that an ensemble has sent; not of a start under a manager before this one."""
        sender, state = token.ensemble, self._state
        graph = state.graphs.get(token.graph)
        if token.context in self._counts and (graph is None or token.context not in graph.contexts):
            raise InvalidMessageError(f"an output of graph {token.graph!r} and of a start of another graph")
        if graph is not None and not graph.is_of(token.sq, sender):
            raise InvalidMessageError(_not_its_own("output", token.sq, sender))
        if sender in state.logged and self._is_logged(token, graph):
            return
        if sender in state.ensembles or sender in state.lost or sender == state.manager.name:
            self.add(msgspec.structs.replace(token, arrival=arrival))

    def add(self, token: OutputToken) -> None:
        """Take one token, in the order of arrival."""
        counts, graph = self._counts.get(token.context), self._state.graphs.get(token.graph)
        if counts is None:
            self._others += 1
        else:
            ensemble = token.ensemble
            counts[ensemble] = counts.get(ensemble, 0) + 1
            if self.timed and graph is not None:
                self._note_latency(graph, token)
        token = _as_shown(token, graph)
        keeps_row = self.rows_kept and counts is not None
        row = token.line("context") if keeps_row or self.log is not None else ""
        if keeps_row and graph is not None:
            self._keep_row(graph, token, row)
        if self.log is not None:
            self.log.write(f'{row[:-1]}, "arrival": {token.arrival}}}\n')
        for listener in self.listeners:
            listener(token)

    def _note_latency(self, state: GraphState, token: OutputToken) -> None:
        latencies = self._latencies.get(token.graph)
        if latencies is None:
            latencies = self._latencies[token.graph] = Latencies(state.graph)
        elif latencies.graph is not state.graph:
            latencies.follow(state.graph)
        latency = latencies.by_sq.get(token.sq)
        if latency is not None:
            latency.add(token.start, token.stop, token.arrival, state.contexts[token.context].start_tick)

    def latencies(self, graph: str) -> dict[str, dict[str, int | None]]:
        """SQ to the latencies of its outputs, as JSON."""
        found = self._latencies.get(graph)
        return {} if found is None else found.shown()

    def end(self, graph: str) -> None:
        """A graph is gone; another may take its name."""
        self._latencies.pop(graph, None)

    def _keep_row(self, graph: GraphState, token: OutputToken, row: str) -> None:
        if len(row) > LONGEST_ROW:
            row = token.line("context", shown=f'"repr": "<{len(row)} characters: see the log file of the manager>"')
        graph.rows.append(row)
        graph.rows_length += len(row)
        if len(graph.rows) > 2 * self.rows_kept or graph.rows_length > ROWS_LENGTH:
            del graph.rows[: len(graph.rows) // 2]
            graph.rows_length = sum(map(len, graph.rows))
        for listener in self.row_listeners:
            listener(token.graph, row)

    def flush(self) -> None:
        """Write to the file all that was taken."""
        if self.log is not None:
            self.log.flush()

    def mark(self) -> None:
        """Write all that was taken, and note how long the file is then: the state is written next."""
        self.flush()
        if self.log is not None and not self.log.failure:
            self._state.log_size = self.log.size

    def recover(self) -> None:
        """Count the outputs that a manager that died has written to the file after it had written its state.

        Their ensembles send them again, with those that it refused: so the lines do not say how many it has taken.
        """
        state = self._state
        for line in [] if self.log is None else self.log.lines_from(state.log_size):
            try:
                token = _logged.decode(whole_pairs(line.decode("utf-8", "replace")))
            except msgspec.DecodeError:
                continue  # not of ours
            # A line has the name that people know: both versions of a graph that is replaced are called so.
            graphs = (graph for graph in state.graphs.values() if graph.title == token.graph)
            context = next((graph.contexts[token.context] for graph in graphs if token.context in graph.contexts), None)
            if context is not None:
                context.outputs[token.ensemble] = context.outputs.get(token.ensemble, 0) + 1
            if token.ensemble in state.ensembles or token.ensemble in state.lost:
                state.logged.setdefault(token.ensemble, []).append(_mark(line.rpartition(b', "arrival": ')[0]))

    def _is_logged(self, token: OutputToken, graph: GraphState | None) -> bool:
        """True if a manager before this one has logged an output: and so has counted it."""
        logged = self._state.logged[token.ensemble]
        text = _as_shown(token, graph).line("context")
        mark = _mark(text.removesuffix("}").encode("utf-8", "backslashreplace"))
        if mark not in logged:
            return False  # that manager refused it, or had no room for it on the disk
        del logged[: logged.index(mark) + 1]
        if not logged:
            del self._state.logged[token.ensemble]
        return True

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self.log is not None:
            self.log.close()
            self.log = None


class Errors:
    """Takes the errors of firings: the latest are kept, all are counted, and the listeners are told.

    Args:
        state: all that the manager knows.
    """

    def __init__(self, state: ManagerState) -> None:
        self._state = state
        self.listeners: list[Callable[[FiringError], None]] = []

    @property
    def kept(self) -> list[FiringError]:
        """The latest."""
        return self._state.latest_errors

    @property
    def count(self) -> int:
        """The number of errors."""
        return self._state.errors

    def take(self, error: FiringError) -> None:
        """Take one that an ensemble has sent; the graph may have been stopped meanwhile."""
        graphs = [graph for graph in self._state.graphs.values() if error.sq in graph.host_of]
        if graphs and not any(graph.is_of(error.sq, error.ensemble) for graph in graphs):
            raise InvalidMessageError(_not_its_own("error", error.sq, error.ensemble))
        self.add(error)

    def add(self, error: FiringError) -> None:
        """Take one, in the order of arrival."""
        state = self._state
        state.errors += 1
        state.latest_errors.append(error)
        state.errors_length += _length(error)
        if len(state.latest_errors) > ERRORS_KEPT or state.errors_length > ERRORS_LENGTH:
            del state.latest_errors[: len(state.latest_errors) // 2]
            state.errors_length = sum(map(_length, state.latest_errors))
        for listener in self.listeners:
            listener(error)


class _Logged(msgspec.Struct):
    """The fields of a line of the log that say whose output it is."""

    graph: str
    context: int
    ensemble: str


_logged = msgspec.json.Decoder(_Logged)


def _as_shown(token: OutputToken, graph: GraphState | None) -> OutputToken:
    """An output under the name by which people know its graph; a version of it may have ended before that comes."""
    title = title_of(token.graph) if graph is None else graph.title
    return token if title == token.graph else msgspec.structs.replace(token, graph=title)


def _mark(line: bytes) -> bytes:
    """A mark of a line of the log, without its arrival: an output that comes again arrives at another tick."""
    return blake2b(line, digest_size=8).digest()


def _not_its_own(what: str, sq: str, ensemble: str) -> str:
    return f"an {what} of {sq[:100]!r} from {ensemble!r}, which has not hosted it"


def _length(error: FiringError) -> int:
    return len(error.exception) + len(error.traceback)
