"""The runtime manager's documented interface, in simulation: classes, positional parameters, methods, behaviour."""

from __future__ import annotations

import inspect
import io
import json
import logging
import multiprocessing
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import simpy

from ticktalk import processes
from ticktalk.language.compiler import compile_program, compile_source
from ticktalk.manager.state import ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import RECIPIENTS
from ticktalk.payloads import DeployRequest, DrainRequest, OutputToken, ReadyAnswer, StartRequest, StopRequest
from ticktalk.physical.commands import Command
from ticktalk.simulation.faults import Faults
from ticktalkpython import RuntimeManager
from ticktalkpython.Clock import TTClock
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.Error import TTError, TTInputError, TTMappingError, TTRuntimeError
from ticktalkpython.Graph import TTGraph
from ticktalkpython.IPC import ExecuteMsg, Message, NetMsg, Recipient, RuntimeMsg, SyncMsg
from ticktalkpython.RuntimeManager import TTRuntimeManager, TTRuntimeManagerProcess, TTRuntimeManagerSim
from ticktalkpython.Time import TTTime
from ticktalkpython.TTToken import TTToken

HEAD = "from ticktalk import SQify, STREAMify, GRAPHify, TTClock, component\n"
STREAMS = """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def twice(x):
    return 2 * x
@GRAPHify
def main(trigger):
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), READ_TTCLOCK(trigger) + 300))
    return twice(src(window, TTPeriod=100))
"""
ALWAYS = TTTime.infinite(TTClock.root())
ADDING = "@GRAPHify\ndef main(a, b):\n    return a + b\n"


def graph(text: str, name: str = "prog") -> TTGraph:
    return compile_source(HEAD + text, f"{name}.py", name)


def placed(name: str, then: str = "") -> str:
    """A program whose one SQ must be on the ensemble `name`."""
    return f"@GRAPHify\ndef main(trigger):\n    with TTConstraint({name}):\n        return trigger + 1\n{then}"


class Heard(list):
    """The outputs of a manager."""

    def __init__(self, manager: TTRuntimeManager) -> None:
        manager.on_output(self.append)

    @property
    def values(self) -> list[Any]:
        return [token.value for token in self]


# The documented signatures.


def positional(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (TTRuntimeManager, ["log_file", "name"]),
        (TTRuntimeManagerSim, ["log_file", "ensembles", "sim", "name"]),
        (TTRuntimeManagerProcess, ["log_file", "input_queue", "ensemble_name"]),
        (TTRuntimeManager.instantiate_and_map_graph, ["graph"]),
        (TTRuntimeManager.send_to_runtime, ["msg"]),
        (TTRuntimeManagerProcess.get_next_input, []),
        (TTRuntimeManagerProcess.handle_message, ["msg"]),
        (TTRuntimeManagerProcess.input_msg, ["message"]),
        (TTRuntimeManagerProcess.run_phy, []),
        (TTRuntimeManagerProcess.run_sim, ["sim"]),
        (TTRuntimeManagerProcess.setup_proc_intfc, ["input_network_func", "sim_process"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_positional_parameters(function: Callable[..., Any], parameters: list[str]) -> None:
    assert positional(function) == parameters


def test_the_physical_manager_is_documented_too() -> None:
    physical = getattr(RuntimeManager, "TTRuntimeManagerPhysical", None)
    assert physical is not None
    assert positional(physical) == ["log_file", "ip", "rx_port", "tx_port", "name"]
    assert issubclass(physical, TTRuntimeManager)


@pytest.mark.parametrize(
    ("rx_port", "tx_port", "told"),
    [
        (70_000, 0, "rx_port is 70000"),
        (-1, 0, "rx_port is -1"),
        (True, 0, "rx_port is True"),
        (0, 1 << 16, "tx_port"),
    ],
)
def test_ports_out_of_range(rx_port: int, tx_port: int, told: str) -> None:
    with pytest.raises(ValueError, match=f"{told}.*a port is a number from 0"):
        RuntimeManager.TTRuntimeManagerPhysical(None, "127.0.0.1", rx_port, tx_port)
    with pytest.raises(ValueError, match="a port is a number from 0"):
        TTEnsemble(None, "edge").run_phy("127.0.0.1:9", rx_port=rx_port, tx_port=tx_port)


@pytest.mark.parametrize("ip", [None, 5, "", "127.0.0.1:5555", "[::1]", "10.0.0.256", "a b"])
def test_an_ip_that_is_none(ip: Any) -> None:
    with pytest.raises(ValueError, match="is no address: give an IP address or a host name without a port"):
        RuntimeManager.TTRuntimeManagerPhysical(None, ip, 0, 0, insecure=True)
    if ip is not None:  # the one on the way to the manager
        with pytest.raises(ValueError, match="is no address: give an IP address or a host name without a port"):
            TTEnsemble(None, "edge").run_phy("127.0.0.1:9", ip=ip)


@pytest.mark.parametrize("ip", ["192.0.2.1", "no-host.invalid"])
def test_an_ip_that_this_host_does_not_have(ip: str) -> None:
    for port in (0, 5555):
        with pytest.raises(TTRuntimeError, match=f"{ip}: this host has no such address: choose another with --ip"):
            RuntimeManager.TTRuntimeManagerPhysical(None, ip, port, 0, insecure=True)
    with pytest.raises(TTRuntimeError, match=f"{ip}: this host has no such address: choose another with --ip"):
        TTEnsemble(None, "edge").run_phy("127.0.0.1:9", ip=ip)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", ":9", "edge:"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="write IP:PORT"):
        TTEnsemble(None, "edge").run_phy(address)


def test_defaults_and_relations() -> None:
    for kind in (TTRuntimeManager, TTRuntimeManagerSim):
        assert inspect.signature(kind).parameters["name"].default == "runtime-manager"
    assert RuntimeManager.DEFAULT_RUNTIME_MANAGER_NAME == "runtime-manager"
    assert inspect.signature(TTRuntimeManagerProcess).parameters["ensemble_name"].default is None
    assert inspect.signature(TTRuntimeManagerProcess.setup_proc_intfc).parameters["sim_process"].default is None
    assert issubclass(TTRuntimeManagerSim, TTRuntimeManager)
    assert isinstance(RuntimeManager.logger, logging.Logger) and RuntimeManager.logger.name == "TTPython.RuntimeManager"


def test_every_argument_may_be_given_by_position(tmp_path: Path) -> None:
    env = simpy.Environment()
    edge = TTEnsemble(str(tmp_path / "edge.log"), "edge")
    manager = TTRuntimeManagerSim(str(tmp_path / "out.jsonl"), [edge], env, "boss")
    program = graph(placed("name='edge'"))
    manager.instantiate_and_map_graph(program)
    manager.execute_graph(program, {"trigger": 1})
    env.run(until=10)
    manager.close()
    (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert row == {
        "graph": "prog",
        "value": 2,
        "start": None,
        "stop": None,
        "sq": "ADD-1",
        "ensemble": "edge",
        "context": 1,
        "arrival": 0,
    }
    assert manager.name == "boss" and manager.ensembles == ["edge", "boss"]


# The process.


def process(input_queue: Any = None) -> tuple[TTRuntimeManagerProcess, list[Message]]:
    made = TTRuntimeManagerProcess(None, input_queue or queue.Queue(), "runtime-manager")
    sent: list[Message] = []
    made.setup_proc_intfc(sent.append)
    return made, sent


def join(name: str, **more: Any) -> Message:
    return Message(RuntimeMsg.JOIN, EnsembleInfo(name, name, **more), TTRuntimeManagerProcess)


def test_a_message_names_its_kind_and_receiver() -> None:
    message = Message(RuntimeMsg.JOIN, 1, TTRuntimeManagerProcess)
    assert (message.msg_type, message.payload, message.process_recipient) == (
        RuntimeMsg.JOIN,
        1,
        TTRuntimeManagerProcess,
    )


@pytest.mark.parametrize("recipient", [TTRuntimeManagerProcess, "TTRuntimeManagerProcess"])
def test_handle_message_responds_to_its_own(recipient: Any) -> None:
    made, sent = process()
    made.handle_message(Message(RuntimeMsg.JOIN, EnsembleInfo("edge", "edge"), recipient))
    assert list(made.state.ensembles) == ["edge"] and sent


@pytest.mark.parametrize(
    ("kind", "recipient"),
    [
        (RuntimeMsg.JOIN, "TTNetworkManager"),
        (RuntimeMsg.JOIN, "TTExecuteProcess"),
        (RuntimeMsg.JOIN, None),
        (RuntimeMsg.JOIN, TTEnsemble),
        (NetMsg.JOIN, TTRuntimeManagerProcess),
        (SyncMsg.START, TTRuntimeManagerProcess),
        (ExecuteMsg.INSTANTIATE, TTRuntimeManagerProcess),
        ("JOIN", TTRuntimeManagerProcess),
        (None, TTRuntimeManagerProcess),
    ],
)
def test_handle_message_ignores_others_without_notification(
    kind: Any, recipient: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made, sent = process()
    assert made.handle_message(Message(kind, EnsembleInfo("edge", "edge"), recipient)) is None
    assert not sent and not made.state.ensembles and not caplog.records


def test_get_next_input_pulls_in_order() -> None:
    made, _ = process()
    first, second = join("a"), join("b")
    made.input_msg(first)
    made.input_msg(second)
    assert made.get_next_input() is first and made.get_next_input() is second
    assert made.input_queue.empty()


@pytest.mark.parametrize("make_queue", [queue.Queue, multiprocessing.Queue])
def test_run_sim_is_run_as_a_simpy_process_and_input_msg_interrupts_it(make_queue: Callable[[], Any]) -> None:
    env = simpy.Environment()
    made, sent = process(make_queue())
    running = env.process(made.run_sim(env))
    made.setup_proc_intfc(sent.append, running)
    seen: list[tuple[float, list[str]]] = []

    def user() -> Any:
        for at in (0, 5, 7):
            yield env.timeout(at - env.now)
            made.input_msg(join(f"edge{at}"))
            made.input_msg(join(f"twin{at}"))  # a second message before the process had its turn
            yield env.timeout(0)
            yield env.timeout(0)
            seen.append((env.now, list(made.state.ensembles)))

    env.process(user())
    env.run()
    assert [at for at, _ in seen] == [0, 5, 7]
    assert [len(names) for _, names in seen] == [2, 4, 6]
    assert running.is_alive, "it waits indefinitely for the next"
    assert not made.state.ensembles.keys() ^ {f"{n}{at}" for n in ("edge", "twin") for at in (0, 5, 7)}


@pytest.mark.parametrize("make_queue", [queue.Queue, multiprocessing.Queue])
def test_run_sim_handles_messages_from_before_its_start(make_queue: Callable[[], Any]) -> None:
    env = simpy.Environment()
    made, _ = process(make_queue())
    made.input_msg(join("early"))
    env.process(made.run_sim(env))
    env.run()
    assert list(made.state.ensembles) == ["early"]


def pending(made: TTRuntimeManagerProcess) -> None:
    """Have all messages handled, in a time that is bounded."""
    thread = threading.Thread(target=made.handle_pending, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_a_message_that_is_taken_as_soon_as_it_is_in_the_queue_is_not_waited_for_afterwards() -> None:
    class TakenAtOnce(queue.Queue[Any]):
        """Stands for a `multiprocessing.Queue` whose reader is faster than the writer."""

        def cancel_join_thread(self) -> None: ...

        def put(self, *arguments: Any) -> None:
            super().put(*arguments)
            pending(made)

    made, _ = process(TakenAtOnce())
    made.input_msg(join("early"))
    assert list(made.state.ensembles) == ["early"]
    pending(made)


def test_a_message_that_cannot_be_pickled_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "UNDER_WAY_LIMIT", 0.1)
    lost: list[Any] = []
    messages = multiprocessing.Queue()
    monkeypatch.setattr(messages, "_on_queue_feeder_error", lambda error, message: lost.append(message))
    made, _ = process(messages)
    made.input_msg(Message(RuntimeMsg.JOIN, threading.Lock(), TTRuntimeManagerProcess))
    pending(made)
    assert lost and not made.handle_pending()
    monkeypatch.setattr(processes, "UNDER_WAY_LIMIT", 60)
    made.input_msg(join("next"))
    pending(made)
    assert list(made.state.ensembles) == ["next"]


@pytest.mark.parametrize("make_queue", [queue.Queue, multiprocessing.Queue])
def test_run_phy_in_a_thread(make_queue: Callable[[], Any]) -> None:
    joined = threading.Event()
    made, sent = process(make_queue())
    made.requests.watchers.append(lambda event: joined.set())
    thread = threading.Thread(target=made.run_phy, daemon=True)
    thread.start()
    made.input_msg(Message(NetMsg.JOIN, None, "TTNetworkManager"))  # not for it
    made.input_msg(Message(RuntimeMsg.JOIN, EnsembleInfo("edge", "edge"), "TTRuntimeManagerProcess"))
    assert joined.wait(60)
    assert list(made.state.ensembles) == ["edge"] and sent
    made.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_stop_ends_the_run_loop_after_the_queued_messages() -> None:
    made, _ = process()
    for name in ("a", "b", "c"):
        made.input_msg(join(name))
    made.stop()
    thread = threading.Thread(target=made.run_phy, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert list(made.state.ensembles) == ["a", "b", "c"]


def test_a_process_that_is_not_connected_says_so() -> None:
    made = TTRuntimeManagerProcess(None, queue.Queue())
    with pytest.raises(TTRuntimeError, match="setup_proc_intfc"):
        made.handle_message(join("edge"))


# Through the manager.


def test_send_to_runtime_with_the_documented_message() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], env)
    heard = Heard(manager)
    program = graph(STREAMS)
    assert (
        manager.send_to_runtime(Message(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, program, TTRuntimeManagerProcess)) is None
    )
    manager.send_to_runtime(
        Message(RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", {"trigger": 1}), TTRuntimeManagerProcess)
    )
    env.run(until=1000)
    assert heard.values == [2, 4, 6]


@pytest.mark.parametrize("inputs", [{"a": 4, "b": 3}, [4, 3], (TTToken(4, ALWAYS), TTToken(3, ALWAYS))], ids=type)
def test_a_driver_script_of_the_documentation_runs(inputs: Any) -> None:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    heard = Heard(manager)
    program = graph(ADDING)
    manager.send_to_runtime(Message(RuntimeMsg.InstantiateAndMapGraph, program, Recipient.ProcessRuntimeManager))
    manager.send_to_runtime(
        Message(RuntimeMsg.ExecuteGraphOnInputs, (program, inputs), Recipient.ProcessRuntimeManager)
    )
    manager.simulation.run()
    assert heard.values == [7]


def test_a_recipient_stands_for_its_process() -> None:
    for kind, recipient in (
        (SyncMsg.START, Recipient.ProcessInputToken),
        (ExecuteMsg.INSTANTIATE, Recipient.ProcessExecute),
        (NetMsg.SEND, Recipient.ProcessNetwork),
        (RuntimeMsg.ExecuteGraphOnInputs, Recipient.ProcessRuntimeManager),
    ):
        assert Message(kind, None, recipient).recipient_name == RECIPIENTS[type(kind)]
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    manager.send_to_runtime(Message(RuntimeMsg.InstantiateAndMapGraph, graph(ADDING), Recipient.ProcessExecute))
    assert not manager.process.state.graphs, "a message for another process is ignored"


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([4], "no value for input 'b'"),
        ([4, 3, 2], "'#3' is no input .the inputs of graph 'prog': a, b"),
        ({"c": 1}, "'c' is no input"),
        (5, "EXECUTE_GRAPH carries a StartRequest .start a graph; or `.graph, inputs.`., not .TTGraph"),
    ],
)
def test_inputs_that_do_not_fit_are_told(inputs: Any, told: str, caplog: pytest.LogCaptureFixture) -> None:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    program = graph(ADDING)
    manager.instantiate_and_map_graph(program)
    manager.send_to_runtime(
        Message(RuntimeMsg.ExecuteGraphOnInputs, (program, inputs), Recipient.ProcessRuntimeManager)
    )
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert re.match(told, record.getMessage())


def test_the_logger_stands_at_debug() -> None:
    assert (RuntimeManager.logger.name, RuntimeManager.logger.level) == ("TTPython.RuntimeManager", logging.DEBUG)


def test_a_graph_started_by_a_message_begins_at_the_present_tick() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], env)
    heard = Heard(manager)
    program = graph(STREAMS)
    manager.instantiate_and_map_graph(program)
    env.run(until=1050)
    manager.send_to_runtime(Message(RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog"), TTRuntimeManagerProcess))
    env.run(until=2000)
    assert [(token.value, token.arrival) for token in heard] == [(2, 1100), (4, 1200), (6, 1300)]
    assert manager.process.state.graphs["prog"].contexts[1].start_tick == 1050


def test_a_graph_started_by_a_message_is_saved_like_any_other() -> None:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], simpy.Environment())
    Faults(manager, checkpoint=50)
    manager.instantiate_and_map_graph(graph(STREAMS))
    manager.send_to_runtime(Message(RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog"), TTRuntimeManagerProcess))
    manager.simulation.run(1000)
    assert set(manager.process.state.graphs["prog"].contexts[1].checkpoints) >= {"src-1", "twice-1"}


def test_a_length_ends_the_streams() -> None:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    heard = Heard(manager)
    manager.instantiate_and_map_graph(graph(STREAMS))
    request = StartRequest("prog", length=250)
    manager.send_to_runtime(Message(RuntimeMsg.EXECUTE_GRAPH, request, TTRuntimeManagerProcess))
    manager.simulation.run(1000)
    assert heard.values == [2, 4]


def test_a_drain_is_answered_by_the_same_door() -> None:
    """SQs do not move in a simulation unless it is said before: the requester is told."""
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], simpy.Environment())
    reply: Future[None] = Future()
    manager.send_to_runtime(Message(RuntimeMsg.DRAIN, DrainRequest("edge", reply), TTRuntimeManagerProcess))
    with pytest.raises(TTRuntimeError, match="SQs do not move in this simulation"):
        reply.result(0)
    with pytest.raises(TTRuntimeError, match="SQs do not move in this simulation"):
        manager.drain("edge")


@pytest.mark.parametrize("wrong", [None, 3, "stop", (1, 2, 3)])
def test_a_value_that_is_no_message_is_refused_where_it_is_sent(wrong: Any) -> None:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    with pytest.raises(TypeError, match="a Message is wanted, not "):
        manager.send_to_runtime(wrong)


def test_a_value_that_is_no_ensemble_leaves_no_manager_behind() -> None:
    env = simpy.Environment()
    with pytest.raises(TypeError, match="a TTEnsemble is wanted, not 'edge'"):
        TTRuntimeManagerSim(None, ["edge"], env)  # type: ignore[list-item]
    assert TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], env).ensembles == ["edge", "runtime-manager"]


def test_a_graph_stopped_before_it_is_ready_is_told_to_the_one_that_deploys_it() -> None:
    made, _ = process()
    made.handle_message(join("edge"))
    reply: Future[Any] = Future()
    request = DeployRequest(graph(placed("name='edge'")), reply=reply)
    made.handle_message(Message(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, request, TTRuntimeManagerProcess))
    assert not reply.done(), "edge has not answered"
    made.handle_message(Message(RuntimeMsg.STOP_GRAPH, StopRequest("prog"), TTRuntimeManagerProcess))
    with pytest.raises(TTRuntimeError, match="stopped before it was ready"):
        reply.result(0)


@pytest.mark.parametrize(("problem", "starts"), [(None, 1), ("it has no camera", 0)])
def test_a_start_waits_for_the_graph_to_be_ready(problem: str | None, starts: int) -> None:
    made, sent = process()
    made.handle_message(join("edge"))
    deployed, started = Future[Any](), Future[Any]()
    for kind, request in (
        (RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(graph(placed("name='edge'")), reply=deployed)),
        (RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", reply=started)),
    ):
        made.handle_message(Message(kind, request, TTRuntimeManagerProcess))
    assert not started.done(), "edge has not answered"
    made.handle_message(Message(RuntimeMsg.READY, ReadyAnswer("prog", "edge", problem), TTRuntimeManagerProcess))
    assert [envelope.payload.message.msg_type for envelope in sent].count(SyncMsg.START) == starts
    if problem is None:
        assert started.result(0) == 1
    else:
        with pytest.raises(TTRuntimeError, match=problem):
            started.result(0)


def test_status_tells_how_everything_stands() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge", components=["gpu"])], env)
    manager.instantiate_and_map_graph(graph(STREAMS))
    manager.execute_graph("prog")
    env.run(until=250)
    status = manager.status()
    assert (status["manager"], status["now"]) == ("runtime-manager", 250)
    assert [(entry["name"], entry["components"]) for entry in status["ensembles"]] == [
        ("edge", ["gpu"]),
        ("runtime-manager", []),
    ]
    assert [entry["heard_us_ago"] for entry in status["ensembles"]] == [0, 0]
    (found,) = status["graphs"]
    assert (found["name"], found["state"], found["outputs"]) == ("prog", "running", 2)
    assert found["busy"] == {"edge": "src-1 is pending"} and set(found["mapping"].values()) == {"edge"}
    env.run(until=1000)
    (found,) = manager.status()["graphs"]
    assert (found["state"], found["outputs"], found["busy"]) == ("done", 3, {})
    assert json.loads(json.dumps(status)) == status


def test_a_line_for_everything_that_happens() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], env)
    lines: list[str] = []
    manager.on_event(lines.append)
    TTEnsemble(None, "edge", sim=env)
    manager.instantiate_and_map_graph(graph(STREAMS))
    manager.execute_graph("prog")
    manager.simulation.run()
    manager.stop_graph("prog")
    assert lines == ["'edge' joined from edge", "graph 'prog' is done: 3 outputs"]


def test_a_message_that_cannot_be_met_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    program = graph(placed("name='nowhere'"))
    manager.send_to_runtime(Message(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, program, TTRuntimeManagerProcess))
    assert any("nowhere" in record.getMessage() for record in caplog.records)
    assert not manager.process.state.graphs


def test_outputs_run_on_the_users_environment() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], env)
    at: list[tuple[float, Any]] = []
    manager.on_output(lambda token: at.append((env.now, token.value)))
    program = graph(STREAMS)
    manager.instantiate_and_map_graph(program)
    manager.execute_graph(program)
    env.run(until=201)
    assert at == [(100, 2), (200, 4)]
    env.run(until=10_000)
    assert at == [(100, 2), (200, 4), (300, 6)]


def test_ensembles_may_join_later() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], env)
    heard = Heard(manager)
    program = graph(placed("name='edge'"))
    with pytest.raises(TTMappingError):
        manager.instantiate_and_map_graph(program)
    env.run(until=500)
    edge = TTEnsemble(None, "edge", sim=env)
    assert manager.ensembles == ["edge", "runtime-manager"]
    assert "runtime-manager" in edge.routing_table
    manager.instantiate_and_map_graph(program)
    manager.execute_graph(program, {"trigger": 41})
    env.run(until=600)
    assert [(token.value, token.ensemble, token.arrival) for token in heard] == [(42, "edge", 500)]


def test_an_ensemble_that_is_there_before_the_manager_joins_when_it_comes() -> None:
    env = simpy.Environment()
    TTEnsemble(None, "early", sim=env)
    manager = TTRuntimeManagerSim(None, [], env)
    assert manager.ensembles == ["early", "runtime-manager"]


@pytest.mark.parametrize("name", ["", "/", "farm/pump", "a\\b", "\ud800", "x" * 256])
def test_a_name_that_no_graph_can_have_is_refused(name: str) -> None:
    """On devices the deployment would wait for an answer: an ensemble takes such a graph for none."""
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    with pytest.raises(
        TTRuntimeError, match=r"is no name for a graph: use 1 to 255 characters, none of them / or .*--name"
    ):
        manager.instantiate_and_map_graph(graph(ADDING), name=name)
    assert not manager.status()["graphs"]
    manager.instantiate_and_map_graph(graph(ADDING), name="x" * 255)
    assert [entry["name"] for entry in manager.status()["graphs"]] == ["x" * 255]


def test_a_name_in_use_is_refused() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], env)
    for taken in ("edge", "runtime-manager"):
        with pytest.raises(TTRuntimeError, match=f"'{taken}'.*choose another"):
            TTEnsemble(None, taken, sim=env)
    with pytest.raises(TTRuntimeError, match=r"'edge'.*choose another"):
        TTRuntimeManagerSim(None, [TTEnsemble(None, "edge"), TTEnsemble(None, "edge")], simpy.Environment())
    assert manager.ensembles == ["edge", "runtime-manager"]
    heard = Heard(manager)
    program = graph(placed("name='edge'"))
    manager.instantiate_and_map_graph(program)
    manager.execute_graph(program)
    env.run(until=1)
    assert heard.values == [2], "the one that joined first works on"


@pytest.mark.parametrize("name", ["", "two words", "a/b", "a*", None, 5])
def test_bad_names_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="no name for an ensemble"):
        TTEnsemble(None, name)


def test_another_protocol_version_is_refused_with_the_reason() -> None:
    made, sent = process()
    made.handle_message(join("old", protocol=99))
    assert not made.state.ensembles
    (message,) = sent
    assert message.payload.ensemble == "old" and message.payload.message.msg_type is NetMsg.REFUSED
    assert "version 99" in message.payload.message.payload


def test_routing_table_additions_go_to_all() -> None:
    env = simpy.Environment()
    first, second = TTEnsemble(None, "first"), TTEnsemble(None, "second")
    manager = TTRuntimeManagerSim(None, [first, second], env)
    third = TTEnsemble(None, "third", sim=env)
    own = manager.ensemble.routing_table
    assert set(own) >= {"first", "second", "third"}
    assert {*first.routing_table, "first"} == {"first", "second", "third", "runtime-manager"}
    assert {*second.routing_table, "second"} == {"first", "second", "third", "runtime-manager"}
    assert {*third.routing_table, "third"} == {"first", "second", "third", "runtime-manager"}
    assert first.routing_table["third"] == "third"


# Mapping.

UNPLACEABLE = """
@SQify
def see(t):
    return component("camera").read()
@SQify
def go(x):
    return x
@SQify
def free(x):
    return x
@GRAPHify
def main(trigger):
    a = see(trigger)
    with TTConstraint(name="mars"):
        with TTConstraint(components=["gpu", "arm"]):
            b = go(a)
    with TTConstraint(name=["edge", "mars"]):
        c = go(b)
    return free(c)
"""


def test_a_mapping_error_lists_each_sq_its_constraint_and_the_lacks_of_each_ensemble() -> None:
    ensembles = [TTEnsemble(None, "edge", components=["gpu"]), TTEnsemble(None, "hub", components=["arm", "gpu"])]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment())
    program = graph(UNPLACEABLE)
    with pytest.raises(TTMappingError) as refused:
        manager.instantiate_and_map_graph(program)
    text = str(refused.value)
    see, go = text.index("see-1"), text.index("go-1")
    assert "go-2" not in text and "free-1" not in text, "those that could be placed are not listed"
    of_see, of_go = text[see:go], text[go:]
    assert "wants the component 'camera'" in of_see
    for name in ("edge", "hub", "runtime-manager"):
        assert f"'{name}' has no component 'camera'" in of_see
    assert "the ensemble 'mars' and the component 'gpu' and the component 'arm'" in of_go
    assert "'edge' is not 'mars'; has no component 'arm'" in of_go
    assert "'hub' is not 'mars'\n" in of_go
    assert "'runtime-manager' is not 'mars'; has no component 'gpu', 'arm'" in of_go
    assert not manager.process.state.graphs
    assert not any(ensemble.host.prepared for ensemble in ensembles), "nothing is instantiated"


def test_a_mapping_error_names_a_lack_of_many_sqs_once() -> None:
    program = graph(
        UNPLACEABLE[: UNPLACEABLE.index("@GRAPHify")]
        + """
@GRAPHify
def many(a, b):
    with TTConstraint(name="mars"):
        for value in [a, b, a, b]:
            go(value)
"""
    )
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], simpy.Environment())
    with pytest.raises(TTMappingError) as refused:
        manager.instantiate_and_map_graph(program)
    text = str(refused.value)
    assert "go-1, go-2, go-3, go-4 (line" in text and text.count("'edge' is not 'mars'") == 1


def test_unconstrained_sqs_go_to_the_first_to_join_and_the_manager_is_last() -> None:
    program = graph(STREAMS)
    env = simpy.Environment()
    late = TTEnsemble(None, "late")
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "zulu"), TTEnsemble(None, "alpha"), late], env)
    state = manager.instantiate_and_map_graph(program)
    assert set(state.host_of.values()) == {"zulu"} and set(state.host_of) == {sq.name for sq in program.sqs}
    alone = TTRuntimeManagerSim(None, [], simpy.Environment())
    assert set(alone.instantiate_and_map_graph(program).host_of.values()) == {"runtime-manager"}


def test_a_mapping_made_beforehand_is_checked() -> None:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a"), TTEnsemble(None, "b")], simpy.Environment())
    heard = Heard(manager)
    program = graph(placed("name=['a', 'b']"))
    for wrong, message in [
        ({}, "ADD-1: the mapping gives it no ensemble"),
        ({"ADD-1": "c"}, "'c', which has not joined"),
        ({"ADD-1": "runtime-manager"}, "is not 'a' or 'b'"),
        ({"ADD-1": "b", "SUB-1": "b"}, "no such SQ"),
    ]:
        with pytest.raises(TTMappingError, match=message):
            manager.instantiate_and_map_graph(program, mapping=wrong)
    manager.instantiate_and_map_graph(program, mapping={"ADD-1": "b"})
    manager.execute_graph(program)
    manager.simulation.run()
    assert [token.ensemble for token in heard] == ["b"]


# Starting, several at once, stopping.


def test_inputs_are_checked_against_the_graphs() -> None:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    program = graph(ADDING)
    manager.instantiate_and_map_graph(program)
    for wrong, message in [
        ({"a": 1}, "no value for input 'b'.*a, b"),
        ({"a": 1, "b": 2, "c": 3}, "'c' is no input.*a, b"),
        ({}, "'a', 'b'"),
    ]:
        with pytest.raises(TTInputError, match=message):
            manager.execute_graph(program, wrong)
    for length in (0, -5):
        with pytest.raises(TTRuntimeError, match=f"cannot run for {length} ticks: give a length of at least 1"):
            manager.execute_graph(program, {"a": 1, "b": 2}, length=length)
    with pytest.raises(TTRuntimeError, match=r"no graph named 'other'.*prog"):
        manager.execute_graph("other", {})
    heard = Heard(manager)
    manager.execute_graph(program, {"b": "y", "a": "x"})
    manager.simulation.run()
    assert heard.values == ["xy"]
    assert (heard[0].start, heard[0].stop) == (-float("inf"), float("inf")), "first tokens carry the infinite interval"


def test_several_graphs_and_contexts_at_once_never_meet() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], env)
    heard = Heard(manager)
    one, two = graph(STREAMS, "one"), graph(STREAMS.replace("2 * x", "-x"), "two")
    manager.instantiate_and_map_graph(one)
    manager.instantiate_and_map_graph(two)
    manager.instantiate_and_map_graph(one, name="again")
    with pytest.raises(TTRuntimeError, match="'one' is already here"):
        manager.instantiate_and_map_graph(one)
    started = [manager.execute_graph(one), manager.execute_graph("again"), manager.execute_graph(two)]
    env.run(until=150)
    started.append(manager.execute_graph(one))
    env.run(until=10_000)
    assert len(set(started)) == 4, "each start is a new context"
    by_context = [[(t.graph, t.value, t.arrival) for t in heard if t.context == number] for number in started]
    assert by_context == [
        [("one", 2, 100), ("one", 4, 200), ("one", 6, 300)],
        [("again", 2, 100), ("again", 4, 200), ("again", 6, 300)],
        [("two", -1, 100), ("two", -2, 200), ("two", -3, 300)],
        # Started at 150: its window is (150, 450].
        [("one", 2, 200), ("one", 4, 300), ("one", 6, 400)],
    ]


def test_stop_graph_ends_it_and_frees_its_name() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], env)
    heard = Heard(manager)
    one, two = graph(STREAMS, "one"), graph(STREAMS, "two")
    for program in (one, two):
        manager.instantiate_and_map_graph(program)
        manager.execute_graph(program)
    env.run(until=150)
    manager.stop_graph(one)
    env.run(until=1000)
    assert [(t.graph, t.value) for t in heard] == [("one", 2), ("two", 2), ("two", 4), ("two", 6)]
    with pytest.raises(TTRuntimeError, match="no graph named 'one'"):
        manager.stop_graph("one")
    with pytest.raises(TTRuntimeError, match="no graph named 'one'"):
        manager.execute_graph(one)
    manager.instantiate_and_map_graph(one)
    manager.execute_graph(one)
    env.run(until=2000)
    assert [t.value for t in heard if t.graph == "one"] == [2, 2, 4, 6]


# The user's own SimPy processes beside it.


class Thermometer:
    """A sensor whose value a process of the user changes; it notes when it was read."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.degrees = 0
        self.read_at: list[float] = []
        env.process(self.heat())

    def heat(self) -> Any:
        while True:
            yield self.env.timeout(70)
            self.degrees += 1

    def read(self) -> tuple[float, int]:
        self.read_at.append(self.env.now)
        return self.env.now, self.degrees


SENSING = """
@STREAMify
def sense(trigger):
    return component("thermometer").read()
@GRAPHify
def main(trigger):
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), 500))
    return sense(window, TTPeriod=100)
"""


@pytest.mark.parametrize("start", [0, 40])
def test_components_are_read_at_the_environments_time(start: int) -> None:
    env = simpy.Environment(initial_time=start)
    thermometer = Thermometer(env)
    edge = TTEnsemble(None, "edge", components={"thermometer": thermometer})
    manager = TTRuntimeManagerSim(None, [edge], env)
    heard: list[OutputToken] = []
    manager.process.outputs.listeners.append(heard.append)
    program = graph(SENSING)
    manager.instantiate_and_map_graph(program)
    manager.execute_graph(program)
    env.run(until=1000)
    assert thermometer.read_at == [100, 200, 300, 400, 500]
    assert [token.value for token in heard] == [(at, (at - start) // 70) for at in range(100, 501, 100)]


def test_a_process_of_the_user_may_start_a_graph_and_wait_for_its_outputs() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], env)
    came = simpy.Store(env)
    manager.on_output(came.put)
    program = graph(STREAMS)
    manager.instantiate_and_map_graph(program)
    seen = []

    def user() -> Any:
        yield env.timeout(1050)
        manager.execute_graph(program)
        for _ in range(3):
            token = yield came.get()
            seen.append((env.now, token.value))

    env.run(until=env.process(user()))
    assert seen == [(1100, 2), (1200, 4), (1300, 6)]


# The same every time.

WHOLE = """
@STREAMify
def src(trigger, salt=0):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return {f"word{(sq_state['n'] * k + salt) % 7}" for k in range(4)}
@SQify
def both(a, b):
    return a | b, {"n": len(a & b), "first": sorted(a)[0]}
@SQify
def fail(x):
    return 1 / (len(x) - 1)
@GRAPHify
def main(trigger):
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), READ_TTCLOCK(trigger) + 2000))
    with TTConstraint(name="a"):
        s = src(window, TTPeriod=100)
    with TTConstraint(name="b"):
        t = src(window, TTPeriod=70, TTPhase=30, TTDataIntervalWidth=60, salt=3)
        w = both(s, t)
    with TTConstraint(name="a"):
        v = fail(s)
    return w, v
"""
RUN = """
import io, sys, simpy
from ticktalk import TTEnsemble, TTGraph, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_program
path, saved = sys.argv[1:]
graph = compile_program(path)
if saved != "-":
    graph.save(saved)
    graph = TTGraph.load(saved)
log, errors = io.StringIO(), []
manager = TTRuntimeManagerSim(log, [TTEnsemble(None, "b"), TTEnsemble(None, "a")], simpy.Environment(), network_delay=7)
manager.on_error(errors.append)
manager.instantiate_and_map_graph(graph)
manager.execute_graph(graph)
manager.simulation.run()
print(log.getvalue(), *errors, manager.counters(graph), manager.waiting(graph), sep="\\n")
"""


def test_a_run_repeated_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    program = tmp_path / "whole.py"
    program.write_text(HEAD + WHOLE)
    runs = []
    for seed, saved in [("0", "-"), ("1", "-"), ("2", str(tmp_path / "whole.json")), ("random", "-")]:
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(program), saved],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        runs.append(done.stdout)
    assert runs[0] == runs[1] == runs[2] == runs[3]
    assert runs[0].count(b'"repr": "(({') > 5 and b"ZeroDivisionError" in runs[0], "the run says something"


def test_compile_save_load_run_is_run(tmp_path: Path) -> None:
    program = tmp_path / "whole.py"
    program.write_text(HEAD + WHOLE)
    compiled = compile_program(program)
    compiled.save(tmp_path / "whole.json")
    loaded = TTGraph.load(tmp_path / "whole.json")
    assert loaded == compiled and loaded.to_json() == compiled.to_json()
    logs = []
    for made in (compiled, loaded, compiled):
        log = io.StringIO()
        manager = TTRuntimeManagerSim(log, [TTEnsemble(None, "a"), TTEnsemble(None, "b")], simpy.Environment())
        manager.instantiate_and_map_graph(made)
        manager.execute_graph(made)
        manager.simulation.run()
        logs.append(log.getvalue())
    assert logs[0] == logs[1] == logs[2] != ""


def test_the_manager_is_a_context_manager_that_closes_the_log(tmp_path: Path) -> None:
    with TTRuntimeManagerSim(tmp_path / "out.jsonl", [], simpy.Environment()) as manager:
        program = graph(ADDING)
        manager.instantiate_and_map_graph(program)
        for number in (1, 2):
            manager.execute_graph(program, {"a": number, "b": 10})
        manager.simulation.run()
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["value"], row["context"]) for row in rows] == [(11, 1), (12, 2)]


def test_errors_of_the_user_are_tterrors() -> None:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    with pytest.raises(TTError):
        manager.stop_graph("none")
    with pytest.raises(TypeError, match="TTGraph is wanted"):
        manager.instantiate_and_map_graph("prog.py")
    with pytest.raises(TypeError, match=r"simpy\.Environment"):
        TTRuntimeManagerSim(None, [], None)


def test_a_start_that_was_stopped_before_it_could_be_told_is_said() -> None:
    """The answer to a start waits until the state is on disk; a stop may come first."""
    with pytest.raises(TTRuntimeError, match=r"graph 'prog' started \(context 3\), and was stopped before that"):
        Command("start", "prog").told(3, ManagerState(None))  # type: ignore[arg-type]
