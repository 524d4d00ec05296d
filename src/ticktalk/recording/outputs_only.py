"""Recording from the manager alone: the outputs of every start, and nothing that led to them (`--record-outputs`)."""

from __future__ import annotations

import time
from collections import Counter
from importlib.metadata import version

from ticktalk.defaults import EVICTION_BOUND
from ticktalk.manager.state import ManagerState
from ticktalk.payloads import OutputToken
from ticktalk.recording.mcap_file import RecordingWriter
from ticktalk.recording.recorder import FLUSH
from ticktalk.recording.setup import Setup
from ticktalk.records import Records, Sent
from ticktalk.values.codec import encoded

LACKS = "all but the outputs: only the manager recorded (--record-outputs)"


class RecordedOutputs:
    """Writes outputs as tokens on their arcs, each at the tick of its arrival.

    Args:
        writer: of the file.
        state: of the manager; it is read only.
        driver: "simulation" or "devices".
        options: what was asked for in the run, by option.
    """

    def __init__(self, writer: RecordingWriter, state: ManagerState, driver: str, options: dict[str, str]) -> None:
        self._writer, self._state, self._driver, self._options = writer, state, driver, options
        self._arcs: dict[int, dict[str, str]] = {}  # by start that is in the file: the arc of each output
        self._numbers: Counter[tuple[int, str]] = Counter()  # by context and arc
        self._written: Counter[tuple[int, str]] = Counter()  # by context and ensemble
        self._flushed = time.monotonic()

    def take(self, token: OutputToken) -> None:
        """Take an output; in one thread at a time."""
        if token.context not in self._arcs:
            self._begin(token.context)
        arc = self._arcs.get(token.context, {}).get(token.sq)
        if arc is None:
            return  # of a start that was forgotten long ago
        number = self._numbers[token.context, arc] = self._numbers[token.context, arc] + 1
        value = bytes(encoded(token.value))
        sent = Sent(token.arrival, token.sq, arc, number, token.start, token.stop, value)
        place = token.context, token.ensemble
        self._writer.add(Records(token.graph, token.context, token.ensemble, self._written[place], None, [sent]))
        self._written[place] += 1
        if time.monotonic() - self._flushed > FLUSH:
            self._writer.flush()
            self._flushed = time.monotonic()

    def _begin(self, context: int) -> None:
        """Write the setup of a start."""
        state = next((each for each in list(self._state.graphs.values()) if context in each.contexts), None)
        if state is None:
            return
        start = state.contexts[context]
        arcs = self._arcs[context] = {}
        for sq in state.graph.sqs:
            for index, arc in enumerate(sq.arcs):
                if arc.output:
                    arcs.setdefault(sq.name, f"{sq.name}/{index}")
        self._writer.begin(
            Setup(
                version("ticktalk"),
                self._driver,
                state.graph.to_json().decode(),
                state.title,
                context,
                start.start_tick,
                start.until,
                dict(start.inputs),
                dict(state.host_of),
                EVICTION_BOUND,
                self._options,
                outputs_only=True,
            )
        )

    def begin(self) -> None:
        """Write the setups of starts that gave no output; before their graphs are stopped."""
        for state in list(self._state.graphs.values()):
            for context in state.contexts.keys() - self._arcs.keys():
                self._begin(context)

    def finish(self, *lacks: str) -> list[str]:
        """End the file; gives the sentences that say what it lacks, `LACKS` left out."""
        return [told for told in self._writer.finish(LACKS, *lacks) if told != LACKS]
