"""What a manager is given by hand: wrong types are told at once, and leave everything as it was."""

from __future__ import annotations

import io
import logging
import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
import simpy

from ticktalk.language.compiler import compile_source
from ticktalk.manager.events import Defect
from ticktalk.manager.status import entry_of
from ticktalk.messages import message
from ticktalk.payloads import DeployRequest, ProfileRequest, SetRequest, StartRequest, StopRequest
from ticktalk.records import WatchRequest
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.Error import TTInputError, TTRuntimeError
from ticktalkpython.Graph import TTGraph
from ticktalkpython.IPC import Message, Recipient, RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManager, TTRuntimeManagerProcess, TTRuntimeManagerSim

STREAM = """
from ticktalk import *

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@GRAPHify
def main(trigger):
    return src(trigger, TTPeriod=ms(1))
"""


class Unshown:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise AttributeError("it has no content yet")


def stream() -> TTGraph:
    return compile_source(STREAM, "prog.py", "prog")


@pytest.fixture
def manager() -> TTRuntimeManagerSim:
    made = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], simpy.Environment(), movable=True)
    made.instantiate_and_map_graph(stream())
    return made


def goes_on(manager: TTRuntimeManagerSim) -> bool:
    """True if the graph can be started, and gives what it is to give."""
    values: list[Any] = []
    manager.on_output(lambda token: values.append(token.value))
    manager.execute_graph("prog", length=3_500)
    manager.simulation.run()
    return values == [1, 2, 3]


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda m: m.execute_graph(None), "EXECUTE_GRAPH: graph is None, which is not of type str"),
        (lambda m: m.execute_graph(Unshown()), "EXECUTE_GRAPH: graph is <Unshown instance at"),
        (lambda m: m.execute_graph("prog", [1]), r"inputs is \[1\], which is not of type Mapping"),
        (lambda m: m.execute_graph("prog", length="5ms"), r"length is '5ms', which is not of type int \| None"),
        (lambda m: m.execute_graph("prog", length=True), "length is True"),
        (lambda m: m.stop_graph(5), "STOP_GRAPH: graph is 5"),
        (lambda m: m.drain(["edge"]), "DRAIN: ensemble is"),
        (lambda m: m.set_grid("prog", 5), "SET_GRID: sq is 5"),
        (lambda m: m.set_grid("prog", "src-1", period=1.5), r"period is 1.5, which is not of type int \| Fraction"),
        (lambda m: m.set_grid("prog", "src-1", phase="0"), "phase is '0'"),
        (lambda m: m.replace_graph("prog"), "REPLACE: graph is 'prog', which is not of type TTGraph"),
        (lambda m: m.replace_graph(stream(), watch="10s"), "watch is '10s', which is not of type int"),
        (lambda m: m.replace_graph(stream(), drop_state=[5]), r"drop_state is \[5\], which is not of type list\[str\]"),
        (lambda m: m.replace_graph(stream(), mapping={"src-1": None}), "mapping is {'src-1': None}"),
        (lambda m: m.instantiate_and_map_graph(stream(), name=5), "INSTANTIATE_AND_MAP_GRAPH: name is 5"),
        (lambda m: m.instantiate_and_map_graph(stream(), mapping="edge"), "mapping is 'edge'"),
        (lambda m: m.instantiate_and_map_graph("prog.py"), "TTGraph is wanted"),
    ],
)
def test_a_wrong_argument_is_told_and_changes_nothing(
    manager: TTRuntimeManagerSim, ask: Callable[[TTRuntimeManagerSim], Any], told: str
) -> None:
    events: list[Any] = []
    manager.watch(events.append)
    with pytest.raises(TypeError, match=told):
        ask(manager)
    assert goes_on(manager)
    assert not any(isinstance(event, Defect) for event in events), "the user's mistake is no defect of the manager"


def test_a_name_of_an_input_that_is_no_text_is_told_with_the_inputs(manager: TTRuntimeManagerSim) -> None:
    with pytest.raises(TTInputError, match=r"5 is no input \(the inputs of graph 'prog': trigger\)"):
        manager.execute_graph("prog", {5: 1})
    assert goes_on(manager)


def test_numpy_s_whole_numbers_are_whole_numbers(manager: TTRuntimeManagerSim) -> None:
    numpy = pytest.importorskip("numpy")
    manager.set_grid("prog", "src-1", period=numpy.int64(2_000), phase=numpy.int32(500))
    values: list[Any] = []
    manager.on_output(lambda token: values.append(token.value))
    manager.execute_graph("prog", length=numpy.int64(4_600))
    manager.simulation.run()
    assert values == [1, 2, 3]


def test_a_wrong_request_without_requester_is_logged(
    manager: TTRuntimeManagerSim, caplog: pytest.LogCaptureFixture
) -> None:
    for kind, payload in (
        (RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", start_tick="now")),  # type: ignore[arg-type]
        (RuntimeMsg.STOP_GRAPH, StopRequest("prog", 5)),  # type: ignore[arg-type]
        (RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest("prog.py")),  # type: ignore[arg-type]
    ):
        caplog.clear()
        manager.send_to_runtime(message(kind, payload))
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.getMessage().startswith(f"{kind.name}: ") and "which is not of type" in record.getMessage()
    assert goes_on(manager)


def test_a_requester_gets_the_error_of_a_message_made_by_hand(manager: TTRuntimeManagerSim) -> None:
    reply: Future[Any] = Future()
    manager.send_to_runtime(message(RuntimeMsg.SET_GRID, SetRequest("prog", "src-1", "5ms", reply=reply)))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="period is '5ms'"):
        reply.result(0)


@pytest.mark.parametrize("kind", list(RuntimeMsg))
@pytest.mark.parametrize("payload", [None, 5, "nobody", (), {}, [], object()], ids=type)
def test_a_message_with_the_content_of_none_has_no_effect(
    manager: TTRuntimeManagerSim, kind: RuntimeMsg, payload: Any
) -> None:
    manager.send_to_runtime(Message(kind, payload, Recipient.ProcessRuntimeManager))
    assert goes_on(manager)


@pytest.mark.parametrize("kind", [None, [], {}, "STATUS", RuntimeMsg], ids=repr)
@pytest.mark.parametrize("recipient", [None, [], {}, 5, Recipient, Recipient.ProcessRuntimeManager], ids=repr)
def test_a_message_of_no_kind_is_ignored(manager: TTRuntimeManagerSim, kind: Any, recipient: Any) -> None:
    manager.send_to_runtime(Message(kind, None, recipient))
    assert goes_on(manager)


def test_handle_message_ignores_what_is_no_message() -> None:
    process = TTRuntimeManagerProcess(None, queue.Queue())
    for other in (None, 5, "JOIN", (RuntimeMsg.JOIN, None, "TTRuntimeManagerProcess")):
        assert process.handle_message(other) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("ask", [TTRuntimeManagerSim.on_output, TTRuntimeManager.on_event, TTRuntimeManager.watch])
@pytest.mark.parametrize("callback", [None, 5, "print"], ids=repr)
def test_a_callback_that_is_none_is_told_at_once(manager: TTRuntimeManagerSim, ask: Any, callback: Any) -> None:
    with pytest.raises(TypeError, match="a callback is a function of one argument, not"):
        ask(manager, callback)
    with pytest.raises(TypeError, match="a callback is a function of one argument, not"):
        manager.on_output(callback, notes=True)
    with pytest.raises(TypeError, match="a callback is a function of one argument, not"):
        manager.on_error(callback)
    assert goes_on(manager)


@pytest.mark.parametrize("delay", [-1, 1.5, "5ms", None], ids=repr)
def test_a_network_delay_that_is_none(delay: Any) -> None:
    with pytest.raises(ValueError, match="a network delay is 0 or more whole microseconds, not"):
        TTRuntimeManagerSim(None, [], simpy.Environment(), network_delay=delay)


@pytest.mark.parametrize(
    "ask",
    [
        lambda manager, name: manager.counters(name),
        lambda manager, name: manager.waiting(name),
        lambda manager, name: manager.execute_graph(name),
        lambda manager, name: manager.stop_graph(name),
        lambda manager, name: manager.set_grid(name, "src-1", period=10),
        lambda manager, name: asked(manager, RuntimeMsg.PROFILE, ProfileRequest(name, Future())),
        lambda manager, name: asked(manager, RuntimeMsg.WATCH_ARC, WatchRequest(name, "src-1", Future())),
        lambda manager, name: entry_of(manager.status(), name),
    ],
)
def test_a_name_of_no_graph(manager: TTRuntimeManagerSim, ask: Callable[[TTRuntimeManagerSim, str], object]) -> None:
    with pytest.raises(TTRuntimeError, match=r"no graph named 'porg' here; did you mean `prog`\? \(graphs: prog\)"):
        ask(manager, "porg")
    with pytest.raises(TTRuntimeError, match=r"there is no graph named 'zzz' here \(graphs: prog\)"):
        ask(manager, "zzz")


def test_a_name_of_no_ensemble(manager: TTRuntimeManagerSim) -> None:
    with pytest.raises(TTRuntimeError, match=r"there is no ensemble 'egde'; did you mean `edge`\? \(joined: edge\)"):
        manager.drain("egde")


def asked(manager: TTRuntimeManagerSim, kind: RuntimeMsg, request: Any) -> object:
    manager.send_to_runtime(message(kind, request))
    return request.reply.result(0)


def test_a_graph_is_known_by_what_instantiating_it_gave(manager: TTRuntimeManagerSim) -> None:
    state = manager.instantiate_and_map_graph(stream(), name="other")
    manager.execute_graph(state, length=1_500)
    manager.simulation.run()
    assert manager.process.outputs.count == 1
    manager.stop_graph(state)
    with pytest.raises(TTRuntimeError, match="no graph named 'other'"):
        manager.execute_graph(state)


def test_one_name_may_be_dropped_as_a_text(manager: TTRuntimeManagerSim) -> None:
    manager.execute_graph("prog", length=10_000)
    manager.sim.run(until=2_500)
    values: list[Any] = []
    manager.on_output(lambda token: values.append(token.value))
    manager.replace_graph(stream(), drop_state="src-1", watch=1_000)
    manager.sim.run(until=4_500)
    assert values == [1, 2]


@pytest.mark.parametrize("log", [io.BytesIO()], ids=type)
def test_a_log_that_takes_no_text_holds_nothing_up(log: Any, caplog: pytest.LogCaptureFixture) -> None:
    manager = TTRuntimeManagerSim(log, [], simpy.Environment())
    manager.instantiate_and_map_graph(stream())
    assert goes_on(manager)
    assert not manager.errors, "it is no error of the body that sent the output"
    assert "cannot be written: a bytes-like object is required" in caplog.text
