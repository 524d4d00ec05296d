"""`make replays`: REPLAYS runs of random graphs are recorded, one after another, and replayed; every arc is compared.

The manager and two ensembles are three processes. Between them tokens come late by chance, and some are lost; so
deadlines are met and missed. SEED says which graphs, and which tokens.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE.parent), str(HERE.parent / "engine"), str(HERE)]

UNIT = 10_000
"""Ticks for which a tick of a program of the tests stands."""

LENGTH = 1.0
"""Seconds that a run takes."""

LOST, LATE, LATEST = 0.02, 0.1, 0.02
"""The part of the frames with tokens that is lost, and that is late; seconds by which it is late at most."""


def suffer() -> None:
    """Be an ensemble that loses frames with tokens, and gets others late; each way keeps its order."""
    from ticktalk.cli.entry import main
    from ticktalk.physical.network.tokens import Incoming

    chance, come = random.Random(os.environ["TICKTALK_SEED"]), Incoming.__call__

    def comes(self: Incoming, payload: bytes, attached: bytes | None) -> None:
        if chance.random() < LOST:
            return
        if chance.random() < LATE:
            time.sleep(chance.uniform(0, LATEST))
        come(self, payload, attached)

    Incoming.__call__ = comes  # type: ignore[method-assign]
    main()


def in_units(text: str) -> str:
    """A program whose windows and shifts are `UNIT` times as long; its periods are already."""
    text = re.sub(r"start \+ (\d+)", lambda found: f"start + {int(found[1]) * UNIT}", text)
    return re.sub(r"delay=(\d+)", lambda found: f"delay={int(found[1]) * UNIT}", text)


class Found:
    """What was seen in all runs.

    Attributes:
        runs, tokens, arcs: how many there were.
        counts: how many deadlines were set, met and missed, tokens were lost, bodies raised.
        departures: what was otherwise in a replay, with the program.
    """

    def __init__(self) -> None:
        self.runs = self.tokens = self.arcs = 0
        self.counts: Counter[str] = Counter()
        self.departures: list[str] = []

    def look(self, path: Path, text: str) -> None:
        """Replay a recording, and compare."""
        from ticktalk.hosted.body_output import BodyOutput
        from ticktalk.recording.mcap_file import read_recording
        from ticktalk.recording.replay import Replay
        from ticktalk.records import Counted, Deadline, Sent

        recording = read_recording(path)
        records = recording.records()
        nowhere = io.StringIO()  # what bodies print was printed when they ran
        with BodyOutput(nowhere, nowhere):
            replay = Replay(recording.setups[-1], records)
            replay.go()
        sent = sum(isinstance(record, Sent) for _, record in records)
        wrong = [str(each) for each in replay.finish()]
        wrong += [f"the recording lacks {lack}" for lack in recording.lacks]
        if sum(replay.tokens.values()) != sent:
            wrong.append(f"{sum(replay.tokens.values())} tokens here, {sent} in the recording")
        if wrong:
            kept = Path(tempfile.mkdtemp(prefix="replays-"), path.name)
            kept.write_bytes(path.read_bytes())
            self.departures.append("\n".join([f"{kept}:", *wrong[:5], text]))
        self.runs += 1
        self.tokens += sent
        self.arcs += len(replay.tokens)
        for _, record in records:
            if isinstance(record, Deadline):
                self.counts[record.how] += 1
            elif isinstance(record, Counted):
                self.counts[record.kind] += record.count


def record(seed: int, runs: int) -> Found:
    """Record and replay so many runs."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from systems import LIMIT, System
    from test_plans import programs

    from ticktalk.language.compiler import compile_source
    from ticktalk.recording.mcap_file import RecordingWriter
    from ticktalk.recording.recorder import Recorder

    found, system = Found(), System()
    os.environ["TICKTALK_SEED"] = str(seed)
    for name in ("a", "b"):
        system.begin(name, script=Path(__file__))
    assert system.manager.wait_for_ensembles(["a", "b"], LIMIT) == []

    @seeded(seed)
    @settings(
        max_examples=runs,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(programs(hosts=True, rates=True, unit=UNIT))
    def run(text: str) -> None:
        text = in_units(text)
        graph = compile_source(text, "net.py", "net")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{found.runs}.mcap")
            recorder = Recorder(RecordingWriter(path), {})
            system.manager.record(recorder)
            system.manager.instantiate_and_map_graph(graph)
            system.manager.execute_graph(graph, {each.name: [1] for each in graph.inputs if each.name == "gains"})
            time.sleep(LENGTH)
            system.manager.stop_graph(graph)
            recorder.finish()
            found.look(path, text)
        if sys.stderr.isatty():
            print(f"\r{found.runs} of {runs}", end="", file=sys.stderr, flush=True)

    try:
        run()
    finally:
        system.end()
    return found


def main() -> int:
    """Record and replay, and say what was seen; 1: something was otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=100)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    given = parser.parse_args()
    found = record(given.seed, given.runs)
    for departure in found.departures:
        print(departure, end="\n\n")
    counts = found.counts
    print(
        f"{found.runs} runs: {found.tokens} tokens on {found.arcs} arcs; {counts['lost']} tokens were lost,"
        f" {counts['met']} deadlines met, {counts['missed']} missed, {counts['errors']} bodies raised;"
        f" {len(found.departures)} runs depart from their recording"
    )
    return min(1, len(found.departures))


if __name__ == "__main__":
    if sys.argv[1:2] == ["ensemble"]:
        suffer()
    else:
        sys.exit(main())
