"""Receivers that stand still: no other receiver waits for them, and their losses are counted."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from systems import HEAD, Process, System, free_port, until

from ticktalk.errors import TTError
from ticktalk.hosted.lease import Times
from ticktalk.manager.reports import SETTLE
from ticktalk.physical.network.frames import LONG

SILENCE = 1.5 * Times().dead_after / 1e6
"""Seconds after which an ensemble with delayed heartbeats would have been called dead."""

STREAM = (
    (
        HEAD
        + """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"], os.urandom(SIZE)
@SQify
def number(x):
    return x[0]
@GRAPHify
def main(trigger):
    with TTConstraint(name="producer"):
        s = src(trigger, TTPeriod=PERIOD)
    with TTConstraint(name="stopped"):
        number(s)
    with TTConstraint(name="healthy"):
        return number(s)
"""
    )
    .replace("from ticktalk", "import os\nfrom ticktalk", 1)
    .replace("SIZE", str(LONG - 1000))
    .replace("PERIOD", str(LONG // 15))
)
"""15 MB/s to two ensembles; no value is long enough to lie in shared memory."""

HELD = (
    HEAD
    + """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@GRAPHify
def main(trigger):
    with TTConstraint(name="producer"):
        return src(trigger, TTPeriod=5000)
"""
)


def quiet(system: System) -> bool:
    before = len(system.outputs)
    time.sleep(0.5)
    return len(system.outputs) == before


def latest(system: System, sq: str) -> int:
    return max((token.value for token in list(system.outputs) if token.sq == sq), default=0)


def counts(system: System) -> dict[str, dict[str, int]]:
    (graph,) = system.manager.status()["graphs"]
    found: dict[str, dict[str, int]] = graph["counters"]
    return found


def left_out(system: System) -> dict[str, dict[str, int]]:
    (graph,) = system.manager.status()["graphs"]
    found: dict[str, dict[str, int]] = graph["left_out"]
    return found


def test_no_other_waits_for_a_receiver_that_stands_still() -> None:
    """Its tokens are dropped where they are sent; those of others, and all heartbeats, go on."""
    system = System().with_ensembles("producer", "stopped", "healthy")
    try:
        graph = system.deploy(STREAM, "stream")
        system.manager.execute_graph(graph, {"trigger": 1})

        until(lambda: len(system.outputs) > 100, "tokens come")
        stopped = system.ensembles["stopped"].popen
        stopped.send_signal(signal.SIGSTOP)
        try:
            system.event("'stopped' is gone")
            before, silent = len(system.outputs), time.monotonic() + SILENCE
            until(lambda: len(system.outputs) > before + 100 and time.monotonic() > silent, "others do not wait for it")
            until(lambda: left_out(system).get("stopped", {}).get("src-1", 0) > 100, "its sender counts by receiver")
        finally:
            stopped.send_signal(signal.SIGCONT)
        system.event("'stopped' is back")
        said = system.ensembles["producer"]

        def not_sent() -> int:
            """The tokens of which it said that they were not sent: before it was gone, and after it was back."""
            return sum(int(line.split()[-6]) for line in said.err if line.endswith("were not sent to it"))

        until(
            lambda: left_out(system) == {"stopped": {"src-1": not_sent()}} and not_sent() > 100,
            "the same number is told",
        )
        until(lambda: counts(system).get("src-1", {}).get("lost"), "what the receiver lost is counted")
        assert "number-2" not in counts(system)
        gone = [event for event in system.events if "is gone" in event or "suspends" in event]
        assert len(gone) == 1, gone
        # The stream rests, so that all that is still to come does come: the rest was lost on its way to one receiver.
        system.manager.set_grid(graph, "src-1", period=60_000_000)
        until(lambda: quiet(system), "no output comes any more")
        losses = system.manager.stop_graph(graph)
        got = {sq: [token.value for token in system.outputs if token.sq == sq] for sq in ("number-1", "number-2")}
        assert losses.keys() <= {"stopped", "healthy"}
        # On a busy machine the healthy one, too, may not be given a processor for longer than a sender waits.
        missed = losses.get("healthy", {}).get("src-1", 0)
        assert losses["stopped"]["src-1"] - missed == len(got["number-2"]) - len(got["number-1"])
        assert missed < len(got["number-2"]) // 4
        assert all(values == sorted(set(values)) for values in got.values())
        assert losses["stopped"]["src-1"] >= not_sent()
        system.event("'stream' is done", f"{losses['stopped']['src-1']} of src-1 to 'stopped'")
    finally:
        system.end()


def test_a_receiver_that_stands_still_holds_up_no_stop_and_its_losses_are_told() -> None:
    system = System().with_ensembles("producer", "stopped", "healthy")
    try:
        graph = system.deploy(STREAM, "stream")
        system.manager.execute_graph(graph, {"trigger": 1})
        until(lambda: len(system.outputs) > 100, "tokens come")
        stopped = system.ensembles["stopped"].popen
        stopped.send_signal(signal.SIGSTOP)
        try:
            until(lambda: latest(system, "number-2") > latest(system, "number-1") + 150, "tokens of others come")
            begun = time.monotonic()
            with ThreadPoolExecutor(1) as stopping:
                stopped_graph = stopping.submit(system.manager.stop_graph, graph)
                until(lambda: system.manager.process.requests.reports._ending, "the stop waits for what was sent")
                with pytest.raises(TTError, match="'stream' is being stopped"):
                    system.manager.execute_graph(graph, {"trigger": 1})
                losses = stopped_graph.result()
            assert time.monotonic() - begun < 10 * SETTLE / 1e6
        finally:
            stopped.send_signal(signal.SIGCONT)
        assert list(losses) == ["stopped"] and losses["stopped"]["src-1"] >= 100
    finally:
        system.end()


def test_a_manager_that_stood_still_gets_the_outputs_of_that_time(tmp_path: Path) -> None:
    """It stands still until the others have noticed; with STANDS_STILL=12, longer than Zenoh's patience by default."""
    port = free_port()
    manager = Process("manager", "--rx-port", str(port), "--log", str(tmp_path / "log"))
    address = f"127.0.0.1:{port}"
    producer = Process("ensemble", "producer", "--manager", address)
    try:
        until(lambda: "joined" in producer.said, "the producer joins")
        (tmp_path / "held.py").write_text(HELD)
        assert Process("deploy", str(tmp_path / "held.py"), "--start", "--manager", address).wait() == 0

        def values() -> list[int]:
            rows = (tmp_path / "log").read_text().splitlines()
            return [json.loads(row)["value"] for row in rows[:-1]]

        until(lambda: len(values()) > 50, "outputs come")
        manager.popen.send_signal(signal.SIGSTOP)
        time.sleep(float(os.environ.get("STANDS_STILL", "3")))
        manager.popen.send_signal(signal.SIGCONT)
        last = values()[-1]
        until(lambda: values()[-1] > last + 600, "they go on")
        there = values()
        assert there == list(range(1, there[-1] + 1))
        stop = Process("stop", "held", "--json", "--manager", address)
        assert stop.wait() == 0 and json.loads(stop.out[0]) == {"held": {}}
    finally:
        producer.end()
        manager.end()
