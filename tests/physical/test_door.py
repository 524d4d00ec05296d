"""Requests to a real manager by the documented messages: they come in by the same door as all others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import simpy
from systems import LIMIT, System, until

from ticktalk.errors import TTInputError, TTRuntimeError
from ticktalk.language.compiler import compile_source
from ticktalk.manager.events import GraphDone
from ticktalk.manager.liveness import Refusal, Why
from ticktalk.messages import Message, Recipient, RuntimeMsg
from ticktalk.payloads import (
    DrainRequest,
    OutputsRequest,
    OutputToken,
    ProfileRequest,
    StartRequest,
    StatusRequest,
    StopRequest,
)
from ticktalk.physical.network.joining import refusal_in, refusal_text
from ticktalk.runtime_manager import TTRuntimeManagerPhysical, TTRuntimeManagerSim

STREAM = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return 1
@GRAPHify
def main(trigger):
    return src(trigger, TTPeriod=50000)
"""


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    made = System(workers=0)
    yield made
    made.end()


def tell(system: System, kind: RuntimeMsg, request: Any) -> None:
    system.manager.send_to_runtime(Message(kind, request, "TTRuntimeManagerProcess"))


def ask(system: System, kind: RuntimeMsg, request: Any) -> Any:
    request.reply = Future()
    tell(system, kind, request)
    return request.reply.result(LIMIT)


def entry(system: System, graph: str) -> Any:
    (found,) = [each for each in system.manager.status()["graphs"] if each["name"] == graph]
    return found


def test_a_start_by_message_is_waited_for_and_its_outputs_count(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    graph = system.deploy(STREAM, "told")
    before = time.monotonic()
    tell(system, RuntimeMsg.EXECUTE_GRAPH, StartRequest("told", length=400_000))
    assert system.manager.wait(graph, LIMIT) and time.monotonic() - before >= 0.4
    found = entry(system, "told")
    assert found["state"] == "done" and found["outputs"] >= 6
    (context,) = system.manager.process.state.graphs["told"].contexts.values()
    assert context.ended and not context.inputs and not context.checkpoints, "nothing large is kept of it"
    system.all_told("told")
    assert system.event("'told' is done") == f"graph 'told' is done: {found['outputs']} outputs"
    tell(system, RuntimeMsg.STOP_GRAPH, StopRequest("told"))
    until(lambda: "told" not in [each["name"] for each in system.manager.status()["graphs"]], "it is stopped")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_driver_script_of_the_documentation_starts_a_graph_that_is_not_ready_yet(system: System) -> None:
    graph = compile_source("@GRAPHify\ndef main(a, b):\n    return a + b\n", "documented.py", "documented")
    tell = system.manager.send_to_runtime
    tell(Message(RuntimeMsg.InstantiateAndMapGraph, graph, Recipient.ProcessRuntimeManager))
    tell(Message(RuntimeMsg.ExecuteGraphOnInputs, (graph, {"a": 4, "b": 3}), Recipient.ProcessRuntimeManager))
    until(lambda: system.values("documented") == [7], "its output comes")
    system.manager.stop_graph(graph)


def test_a_stop_by_message_ends_it_cleanly(system: System, caplog: pytest.LogCaptureFixture) -> None:
    done: list[GraphDone] = []
    system.manager.watch(lambda event: done.append(event) if isinstance(event, GraphDone) else None)
    system.deploy(STREAM, "endless")
    context = system.manager.execute_graph("endless")
    until(lambda: system.values("endless"), "it runs")
    assert not system.manager.wait("endless", 0)
    tell(system, RuntimeMsg.STOP_GRAPH, StopRequest("endless"))
    assert system.manager.wait("endless", LIMIT)
    with pytest.raises(TTRuntimeError, match=r"there is no graph named 'endles' here \(graphs: "):
        system.manager.wait("endles")
    until(lambda: [event for event in done if event.graph == "endless"], "it is told that it is done")
    assert [event.context for event in done if event.graph == "endless"] == [context]
    system.one("another")  # it is done in the second round of reports after that
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    again = system.deploy(STREAM, "endless")  # its name is free
    assert entry(system, "endless")["outputs"] == 0
    system.manager.stop_graph(again)


def test_every_request_has_a_message(system: System) -> None:
    system.deploy(STREAM, "asked")
    context = ask(system, RuntimeMsg.EXECUTE_GRAPH, StartRequest("asked", {"trigger": 1}, length=200_000))
    assert system.manager.wait("asked", LIMIT)
    system.all_told("asked")
    status = ask(system, RuntimeMsg.STATUS, StatusRequest())
    assert [each["name"] for each in status["graphs"]] == ["asked"] and context in range(1, 10)
    assert [each["name"] for each in ask(system, RuntimeMsg.ENSEMBLES, StatusRequest())] == ["runtime-manager"]
    rows = ask(system, RuntimeMsg.OUTPUTS, OutputsRequest("asked"))
    assert len(rows) == status["graphs"][0]["outputs"] and '"sq": "src-1"' in rows[0]
    ((function, times, _),) = ask(system, RuntimeMsg.PROFILE, ProfileRequest("asked"))
    assert function == "src" and times
    with pytest.raises(TTRuntimeError, match="no graph named 'other'"):
        ask(system, RuntimeMsg.OUTPUTS, OutputsRequest("other"))
    with pytest.raises(TTRuntimeError, match="there is no ensemble 'nobody'"):
        ask(system, RuntimeMsg.DRAIN, DrainRequest("nobody"))
    with pytest.raises(TTInputError, match="no codec"):
        ask(system, RuntimeMsg.EXECUTE_GRAPH, StartRequest("asked", {"trigger": object()}))
    ended: list[bool] = []
    system.manager.on_shut_down(lambda: ended.append(True))
    assert ask(system, RuntimeMsg.STOP_GRAPH, StopRequest("asked")) == {}  # nothing was lost
    system.deploy(STREAM, "other")
    assert ask(system, RuntimeMsg.SHUT_DOWN, StatusRequest()) == {"other": {}} and ended == [True]


def test_a_request_without_reply_that_cannot_be_met_is_logged(system: System, caplog: pytest.LogCaptureFixture) -> None:
    tell(system, RuntimeMsg.STOP_GRAPH, StopRequest("nothing"))
    until(lambda: "no graph named 'nothing'" in caplog.text, "it is logged")


def test_a_simulation_has_the_same_status(system: System) -> None:
    graph = system.deploy(STREAM, "same")
    system.manager.execute_graph(graph, length=100_000)
    assert system.manager.wait(graph, LIMIT)
    real = system.manager.status()
    simulated = TTRuntimeManagerSim(None, [], simpy.Environment())
    simulated.instantiate_and_map_graph(graph)
    simulated.execute_graph(graph)
    simulated.simulation.run(100_000)
    shown = simulated.status()
    assert list(shown) == list(real)
    assert list(shown["ensembles"][0]) == list(real["ensembles"][0])
    assert list(shown["graphs"][0]) == list(real["graphs"][0])
    system.manager.stop_graph(graph)


def test_an_ended_manager_says_so() -> None:
    made = System(workers=0)
    made.end()
    with pytest.raises(TTRuntimeError, match="has ended"):
        made.manager.status()


def test_a_callback_may_end_the_manager(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log holds what came until then, `wait` and another `stop` return, and no thread is left."""
    manager = TTRuntimeManagerPhysical(tmp_path / "out.jsonl", "127.0.0.1", 0, 0, workers=0)
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def end(output: OutputToken) -> None:
        if not ended.is_set():
            threads.append(threading.current_thread())
            manager.stop()
            ended.set()

    manager.on_output(end)
    manager.instantiate_and_map_graph(compile_source(STREAM, "ends.py", "ends"))
    manager.execute_graph("ends")
    assert manager.wait(timeout=LIMIT) and ended.wait(LIMIT)
    manager.stop()
    assert (tmp_path / "out.jsonl").read_text().startswith('{"graph": "ends", "value": 1, ')
    threads[0].join(LIMIT)
    assert not threads[0].is_alive()
    assert "raised" not in caplog.text


def test_a_request_under_way_ends_with_the_manager() -> None:
    """A question that the manager will not answer any more is no reason to wait for ever."""
    manager = TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0)
    manager.process.handlers[RuntimeMsg.STATUS] = lambda request: None
    threading.Timer(0.2, manager.stop).start()
    with pytest.raises(TTRuntimeError, match="has ended"):
        manager.status()


def test_a_wait_for_ensembles_ends_with_the_manager() -> None:
    manager = TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0)
    ends = threading.Timer(0.2, manager.stop)
    ends.start()
    assert manager.wait_for_ensembles(["never"], LIMIT) == ["never"]
    ends.join(LIMIT)  # the wait ends while the manager does
    with pytest.raises(TTRuntimeError, match="has ended"):
        manager.status()


@pytest.mark.parametrize("why", Why)
def test_a_refusal_crosses_with_its_reason(why: Why) -> None:
    error = refusal_in(refusal_text(Refusal(why, "the name 'x' is in use")).encode())
    assert (error.why, str(error)) == (why, "the name 'x' is in use")
    other = refusal_in(b"a sentence alone")
    assert (other.why, str(other)) == (None, "a sentence alone")
