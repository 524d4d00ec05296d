"""Managers and ensembles as real processes on loopback: programs, joins, refusals, commands, losses, the end."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import simpy
import zenoh
from systems import ENDLESS, HEAD, LIMIT, ONE, Process, System, alive, children, free_port, in_time, until

from ticktalk.cli.remote import Remote
from ticktalk.ensemble import TTEnsemble
from ticktalk.errors import TTError, TTInputError, TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.lease import Times
from ticktalk.json_text import as_json
from ticktalk.language.compiler import compile_program, compile_source
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import ExecuteMsg, NetMsg, RuntimeMsg, message
from ticktalk.network_keys import COMMAND, HELLO, JOIN, arc_key, control_key
from ticktalk.payloads import Deployment, OutputToken
from ticktalk.physical.network.control_frames import control_frame
from ticktalk.physical.network.joining import RefusedError, hello
from ticktalk.physical.network.token_frames import token_frame
from ticktalk.physical.timekeeping.root_clock import RootClock
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.trust.trust import Trust
from ticktalk.physical.trust.user_token import own_token
from ticktalk.runtime_manager import TTRuntimeManagerPhysical, TTRuntimeManagerSim
from ticktalk.values.codec import encode_value

CASES = Path(__file__).parents[1] / "conformance" / "cases"


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """A system that no test ends."""
    made = System().with_ensembles("near", "far")
    yield made
    made.end()


@pytest.fixture
def own() -> Iterator[Callable[..., System]]:
    """Makes systems of a test's own."""
    made: list[System] = []

    def make(**options: Any) -> System:
        made.append(System(**options))
        return made[-1]

    yield make
    for system in made:
        system.end()


# The same program, simulated and real.

STREAMS = [
    "full_token",
    "lang_if_stream",
    "lang_op_tuple_stream",
    "lang_tag_value_and_interval",
    "moving_average",
    "plan_b",
    "stream_affine",
    "time_first_instance_delay",
    "time_resample_linear",
]


def simulated(graph: TTGraph, mapping: dict[str, str], tick: int) -> list[list[Any]]:
    env = simpy.Environment(initial_time=tick)
    outputs: list[OutputToken] = []
    ensembles = [TTEnsemble(None, name) for name in ("near", "far")]
    with TTRuntimeManagerSim(None, ensembles, env) as manager:
        manager.process.outputs.listeners.append(outputs.append)
        manager.instantiate_and_map_graph(graph, mapping=mapping)
        manager.execute_graph(graph)
        manager.simulation.run()
    return [row(token) for token in outputs]


def row(token: OutputToken) -> list[Any]:
    return [as_json(token.value), token.start, token.stop, token.sq, token.ensemble]


def test_real_streams_give_the_same_values_as_simulated_ones(system: System) -> None:
    """Many graphs at once on one system: values and intervals in the order of the simulation, from the same tick.

    A real start may find its first instant past already; a run that counted such is made again.
    """
    left = list(STREAMS)
    for _ in range(4):
        started = {case: start_real(system, case, number) for number, case in enumerate(left)}
        for case, (graph, mapping, tick) in started.items():
            assert system.manager.wait(graph, LIMIT), case
            counts = system.manager.counters(graph)
            system.all_told(graph.name)
            got = [row(token) for token in list(system.outputs) if token.graph == graph.name]
            system.manager.stop_graph(graph)
            if not any("skipped" in kinds for kinds in counts.values()):
                assert got == simulated(graph, mapping, tick), case
                assert "(network)" not in counts
                left.remove(case)
        system.outputs.clear()
        if not left:
            return
    raise AssertionError(f"instants were skipped in every run of {left}")


def start_real(system: System, case: str, number: int) -> tuple[TTGraph, dict[str, str], int]:
    """Deploy a case, each SQ on another host than the one before, and start it; its start tick."""
    graph = msgspec.structs.replace(compile_program(CASES / f"{case}.py"), name=f"{case}-real")
    hosts = ("near", "far", "runtime-manager")
    mapping = {sq.name: hosts[(index + number) % 3] for index, sq in enumerate(graph.sqs)}
    for sq in graph.sqs:
        if sq.plan_b is not None:
            mapping[sq.plan_b] = mapping[sq.name]  # a deadline and its plan B are placed together
    system.manager.instantiate_and_map_graph(graph, mapping=mapping)
    with Remote(system.address, None) as remote:
        answer = remote.ask(do="start", graph=graph.name, inputs=encode_value({}))
    return graph, mapping, answer["start_tick"]


# Joining.


def test_an_ensemble_waits_for_its_manager() -> None:
    port = free_port()
    early = Process("ensemble", "early", "--manager", f"127.0.0.1:{port}")
    try:
        until(lambda: "nobody answers" in early.said, "it says that it waits")
        said_at = time.monotonic()
        until(
            lambda: time.monotonic() - said_at > Times().lease / 1e6, "it waits for longer than a manager may be silent"
        )
        system = System(port=port)
        try:
            assert system.manager.wait_for_ensembles(["early"], LIMIT) == []
            until(lambda: "'early' joined 'runtime-manager'" in early.said, "it says that it has joined")
        finally:
            system.end()
        assert early.wait() == 0
        assert "the manager ended the system" in early.said and "not heard" not in early.said
    finally:
        early.end()


def test_a_name_in_use_is_refused_with_the_reason(system: System) -> None:
    second = Process("ensemble", "near", "--manager", system.address)
    own = Process("ensemble", "runtime-manager", "--manager", system.address)
    try:
        assert own.wait() == 1
        assert "is the manager's own" in own.said and "Traceback" not in own.said
        assert second.wait() == 1
        assert "'near' is in use" in second.said and "choose another" in second.said and "Traceback" not in second.said
    finally:
        second.end()
        own.end()
    assert system.ensembles["near"].popen.poll() is None
    assert "near" in system.manager.ensembles


def test_another_protocol_version_is_refused_with_the_reason(system: System) -> None:
    info = EnsembleInfo("newer", "127.0.0.1:1", protocol=99)
    with pytest.raises(RefusedError, match=r"protocol version 99.*this manager version"):
        hello(info, system.address, Trust("newer", "ensemble", None, system.address))
    system.event("refused 'newer'", "version 99")
    assert "newer" not in system.manager.ensembles


def test_a_command_without_manager_ends_with_a_message() -> None:
    address = f"127.0.0.1:{free_port()}"
    started = [
        Process("status", "--manager", address),
        Process("stop", "g", "--manager", address),
        Process("deploy", str(CASES / "arith.py"), "--manager", address),
    ]
    for process in started:
        assert process.wait() == 1
        assert f"no manager answers at {address}" in process.said and "Traceback" not in process.said
        assert not process.out


def test_a_port_in_use_ends_with_a_message(system: System, tmp_path: Path) -> None:
    port = system.address.rpartition(":")[2]
    with pytest.raises(TTRuntimeError, match=r"port is in use.*--rx-port"):
        TTRuntimeManagerPhysical(None, "127.0.0.1", int(port), 0)
    manager = Process("manager", "--rx-port", port)
    ensemble = Process("ensemble", "third", "--manager", system.address, "--rx-port", port)
    for process in (manager, ensemble):
        assert process.wait() == 1
        assert "the port is in use" in process.said and "Traceback" not in process.said


def test_a_port_taken_meanwhile_is_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where any port will do, a port found free may be taken a moment later."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found: list[int] = []

        def free(ip: str) -> int:
            found.append(port if len(found) % 2 == 0 else free_port(ip))
            return found[-1]

        for handle in ("manager_handle", "ensemble_handle"):
            monkeypatch.setattr(f"ticktalk.physical.{handle}.free_port", free)
        with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0) as manager:
            assert len(found) == 2 and manager.address == f"127.0.0.1:{found[1]}"
            ensemble = TTEnsemble(None, "other")
            thread = threading.Thread(target=ensemble.run_phy, args=(manager.address,), daemon=True)
            thread.start()
            try:
                assert manager.wait_for_ensembles(["other"], LIMIT) == []
                (joined,) = [e for e in manager.status()["ensembles"] if e["name"] == "other"]
                assert found[2] == port and joined["address"] == f"127.0.0.1:{found[3]}"
            finally:
                ensemble.stop()
                thread.join(LIMIT)


def test_addresses_beyond_loopback_need_credentials() -> None:
    """Nothing listens: the refusal comes first (192.0.2.1 is nobody's)."""
    refused = Process("manager", "--ip", "192.0.2.1")
    insecure = Process("manager", "--ip", "192.0.2.1", "--insecure")
    assert refused.wait() == 1
    assert "ticktalk keys init" in refused.said and "--credentials" in refused.said
    assert insecure.wait() == 1
    assert "warning: --insecure: anybody who can reach this address" in insecure.said
    assert "this host has no such address" in insecure.said
    for process in (refused, insecure):
        assert "Traceback" not in process.said


def test_a_wrong_clock_is_corrected_to_the_manager_s(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ensemble on another host (by its boot id) whose clock is an hour slow."""

    def slow() -> RootClock:
        clock = RootClock()
        clock.step(-3_600_000_000)
        return clock

    monkeypatch.setattr("ticktalk.physical.node.RootClock", slow)
    monkeypatch.setattr("ticktalk.physical.ensemble_handle.boot_id", lambda: "another host")
    ensemble = TTEnsemble(None, "slow")
    thread = threading.Thread(target=ensemble.run_phy, args=(system.address,), daemon=True)
    thread.start()
    try:
        assert system.manager.wait_for_ensembles(["slow"], LIMIT) == []

        def offset() -> int | None:
            found = [e for e in system.manager.status()["ensembles"] if e["name"] == "slow"]
            told = found and found[0]["clock_uncertainty_us"]
            return abs(found[0]["clock_offset_us"]) + 1 if told else None

        until(lambda: (off := offset()) is not None and off < 100_000, "its clock is the manager's")
    finally:
        ensemble.stop()
        thread.join(LIMIT)
    assert not thread.is_alive()


# Graphs that cannot be deployed.


def test_a_missing_or_failing_component_is_reported(system: System, tmp_path: Path) -> None:
    text = ONE.replace("x + 1", "component('lamp')")
    with pytest.raises(TTError, match=r"f-1.*lamp"):
        system.deploy(text, "lamps")
    (tmp_path / "lamps_of_test_run.py").write_text("def lamp():\n    raise OSError('the lamp is broken')\n")
    options = ["--component", "lamp=lamps_of_test_run:lamp", "--near", str(tmp_path)]
    process = system.begin("lit", *options)
    assert system.manager.wait_for_ensembles(["lit"], LIMIT) == []
    with pytest.raises(TTError, match=r"(?s)on lit:.*the lamp is broken"):
        system.deploy(text, "lamps")
    assert "lamps" not in [graph["name"] for graph in system.manager.status()["graphs"]]
    process.popen.send_signal(signal.SIGINT)
    assert process.wait() == 0
    system.event("'lit' is gone", "left")
    del system.ensembles["lit"]


def test_an_ensemble_joins_from_the_port_that_it_is_given(system: System) -> None:
    port = free_port()
    process = system.begin("bound", "--tx-port", str(port))
    assert system.manager.wait_for_ensembles(["bound"], LIMIT) == []
    system.one("beside_bound")
    rows = [row.split()[1:4] for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [[int(end.partition(":")[2], 16) for end in row[:2]] for row in rows if row[2] == "01"]
    assert [port, int(system.address.rpartition(":")[2])] in ends, "the connection as the kernel has it"
    process.popen.send_signal(signal.SIGINT)
    assert process.wait() == 0
    system.event("'bound' is gone", "left")
    del system.ensembles["bound"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("import no_module_of_this_name", "'far' has no Python module 'no_module_of_this_name'"),  # seen when mapping
        ("if True:\n    import no_module_of_this_name", "(?s)cannot be prepared.*on far:.*no_module_of_this_name"),
    ],
)
def test_a_missing_module_is_named_and_nothing_is_started(system: System, statement: str, said: str) -> None:
    text = (
        HEAD
        + statement
        + """
@SQify
def f(x):
    return 1
@SQify
def g(x):
    return no_module_of_this_name.value
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        a = f(trigger)
    with TTConstraint(name="far"):
        return g(a)
"""
    )
    with pytest.raises(TTError, match=said) as refused:
        system.deploy(text, "modules")
    assert "f-1" not in str(refused.value)
    with pytest.raises(TTError, match="no graph named 'modules'"):
        system.manager.execute_graph("modules")
    assert not system.values("modules")
    system.one(f"after_modules_{len(statement)}")  # its name is free, everybody is well


def test_an_input_without_codec_is_refused(system: System) -> None:
    graph = system.deploy(ONE, "inputs")
    for value in (object(), threading.Lock()):
        with pytest.raises(TTInputError, match="trigger"):
            system.manager.execute_graph(graph, {"trigger": value})
    with pytest.raises(TTInputError, match=r"'triger' is no input.*did you mean `trigger`"):
        system.manager.execute_graph(graph, {"triger": 1})
    system.manager.execute_graph(graph, {"trigger": 4})
    assert system.manager.wait(graph, LIMIT)
    until(lambda: system.values("inputs") == [5], "the start with a good input")
    system.manager.stop_graph(graph)


def test_a_value_without_codec_is_an_error_of_that_firing(system: System) -> None:
    text = (
        HEAD
        + """
@SQify
def bad(x):
    import threading
    return threading.Lock()
@SQify
def good(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        a = bad(trigger)
        b = good(trigger)
    with TTConstraint(name="far"):
        c = good(a)
        return good(b)
"""
    )
    graph = system.deploy(text, "codecs")
    system.manager.execute_graph(graph, {"trigger": 1})
    assert system.manager.wait(graph, LIMIT)
    until(lambda: system.values("codecs") == [1], "the rest goes on")
    error = until(lambda: next((e for e in list(system.errors) if e.file == "codecs.py"), None), "the error is told")
    assert error.sq == "bad-1" and error.ensemble == "near" and "lock" in error.exception
    assert system.manager.counters(graph)["bad-1"] == {"errors": 1}
    system.manager.stop_graph(graph)


# Frames of others.


@pytest.fixture
def stranger(system: System) -> Iterator[zenoh.Session]:
    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", json.dumps([f"tcp/{system.address}"]))
    config.insert_json5("scouting/multicast/enabled", "false")
    with zenoh.open(config) as session:
        yield session


def test_random_bytes_on_every_key_disturb_nothing(system: System, stranger: zenoh.Session) -> None:
    graph = system.deploy(ENDLESS, "garbled")
    system.manager.execute_graph(graph)
    until(lambda: len(system.values("garbled")) > 2, "the stream runs")
    chance = random.Random(5)
    keys = [
        control_key("near"),
        control_key("far"),
        control_key("runtime-manager"),
        arc_key("garbled", "src-1/0"),
    ]
    good = token_frame([(1, 0, b"", 1, 2, 3, b"\xc1")])
    for key in keys:
        for frame in (b"", b"\x00", b"\x02" + good[1:], good[:-2], b"\x01" + chance.randbytes(50), b"\x01" * 100_000):
            stranger.put(key, frame, congestion_control=zenoh.CongestionControl.BLOCK)
    for key in (HELLO, JOIN, COMMAND):
        for payload in (b"", b"\xc1", chance.randbytes(40), msgspec.msgpack.encode([b"\xc1"])):
            replies = list(stranger.get(key, payload=payload, timeout=LIMIT))
            assert replies and all(reply.ok is None for reply in replies)
    before = len(system.values("garbled"))
    until(lambda: len(system.values("garbled")) > before + 3, "the stream goes on")
    values = system.values("garbled")
    assert values == sorted(set(values))

    def counted() -> bool:
        counts = system.manager.counters(graph)
        return all(counts.get(name, {}).get("bad_frames", 0) >= 5 for name in ("near", "far"))

    until(counted, "bad frames are counted")
    system.manager.stop_graph(graph)
    system.one("after_garbage")


def test_messages_that_nothing_proves_are_dropped(system: System, stranger: zenoh.Session) -> None:
    """Code, an end and a leave from a process that has joined nothing, in the manager's name and in its own."""
    graph = compile_source(ONE, "forged.py", "forged")
    deployment = Deployment(graph, {sq.name: "near" for sq in graph.sqs})
    token = own_token()
    near = system.manager.process.state.ensembles["near"].info
    for name, role in (("runtime-manager", "manager"), ("stranger", "ensemble")):
        forger = Guard(ByToken(token, name, role))  # type: ignore[arg-type]
        forger.admit(near.badge, "near")
        for told in (message(ExecuteMsg.INSTANTIATE, deployment), message(NetMsg.SHUT_DOWN, "over")):
            stranger.put(control_key("near"), control_frame(told))
            stranger.put(control_key("near"), forger.seal("near", control_frame(told)))
    leave = control_frame(message(RuntimeMsg.LEAVE, "near"))
    stranger.put(control_key("runtime-manager"), leave)
    running = system.deploy(ENDLESS, "forgery")
    system.manager.execute_graph(running)
    counted = lambda: system.manager.counters(running).get("near", {})  # noqa: E731
    until(lambda: counted().get("forged", 0) >= 2, "forgeries in the name of the manager are counted")
    until(lambda: counted().get("untimely", 0) >= 2, "messages of a stranger are counted")
    system.manager.stop_graph(running)
    assert "near" in system.manager.ensembles
    system.one("after_forgery")


# Commands from other processes.


def test_commands_from_other_processes(system: System, tmp_path: Path) -> None:
    program = tmp_path / "told.py"
    program.write_text(ENDLESS)
    asked = ["--manager", system.address]
    deploy = Process("deploy", str(program), *asked, "--json")
    assert deploy.wait() == 0, deploy.said
    (answer,) = deploy.out
    assert json.loads(answer)["mapping"]["same-1"] == "far"
    again = Process("deploy", str(program), *asked)
    assert again.wait() == 1 and "already here" in again.said
    follow = Process("outputs", "told", "--follow", *asked)
    start = Process("start", "told", *asked, "--json")
    assert start.wait() == 0, start.said
    assert json.loads(start.out[0])["start_tick"] > 10**15
    until(lambda: len(follow.out) > 4, "outputs are followed")
    status = Process("status", "told", *asked, "--json")
    people = Process("status", *asked)
    wrong = Process("start", "no_such_graph", *asked)
    twice = Process("start", "told", *asked)
    latest = Process("outputs", "told", *asked)
    assert status.wait() == 0
    (graph,) = json.loads(status.out[0])["graphs"]
    assert graph["state"] == "running" and graph["outputs"] > 0
    (context,) = graph["contexts"]
    assert context["state"] == "running" and context["outputs"] == graph["outputs"]
    assert twice.wait() == 1 and "--again" in twice.said
    assert f"runs already (context {context['context']})" in twice.said
    assert people.wait() == 0 and f"{context['context']}: running" in "\n".join(people.out)
    assert "near" in "\n".join(people.out)
    assert wrong.wait() == 1 and "no graph named 'no_such_graph'" in wrong.said
    assert latest.wait() == 0 and json.loads(latest.out[0])["value"] == 1
    assert json.loads(latest.out[0])["context"] == context["context"]
    more = Process("start", "told", "--again", *asked)
    assert more.wait() == 0 and "context" in more.said
    follow.popen.send_signal(signal.SIGINT)
    assert follow.wait() == 0 and "Traceback" not in follow.said
    rows = [json.loads(line) for line in follow.out]
    followed = [row["value"] for row in rows if row["context"] == context["context"]]
    assert len(followed) > 4 and followed == list(range(1, len(followed) + 1))
    stop = Process("stop", "told", *asked)
    assert stop.wait() == 0
    gone = Process("outputs", "told", *asked)
    assert gone.wait() == 1 and "no graph named 'told'" in gone.said


def test_a_name_used_again_counts_for_the_new_graph_only(system: System) -> None:
    for _ in range(2):
        system.outputs.clear()
        graph = system.deploy(ONE, "again")
        assert system.manager.status()["graphs"][-1]["state"] == "ready"
        system.manager.execute_graph(graph)
        assert system.manager.wait(graph, LIMIT)
        (found,) = [entry for entry in system.manager.status()["graphs"] if entry["name"] == "again"]
        assert found["state"] == "done" and found["outputs"] == 1
        system.manager.stop_graph(graph)


@pytest.mark.parametrize("name", ["two words", "what?*", "ünï 50%"])
def test_a_graph_may_have_any_name_that_a_file_may_have(system: System, name: str) -> None:
    text = ENDLESS.replace(
        "s = src(trigger,",
        "w = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger),"
        " READ_TTCLOCK(trigger) + 500000))\n        s = src(w,",
    )
    graph = system.deploy(text, name)
    system.manager.execute_graph(graph)
    assert system.manager.wait(graph, LIMIT)
    system.all_told(graph.name)
    values = system.values(graph.name)
    assert values and values == list(range(1, len(values) + 1))
    with Remote(system.address, None) as remote:
        assert len(remote.ask(do="outputs", graph=graph.name)["rows"]) == len(values)
    system.manager.stop_graph(graph)


# Losses.


def test_a_killed_ensemble_is_noticed_and_reported(own: Callable[..., System]) -> None:
    system = own().with_ensembles("near", "far")
    graph = system.deploy(ENDLESS, "bereft")
    system.manager.execute_graph(graph)
    until(lambda: len(system.values("bereft")) > 2, "the stream runs")
    far = system.ensembles["far"]
    family = far.family()
    far.popen.kill()
    told = system.event("'far' is gone", "no heartbeat")
    assert in_time(told), told
    system.event("graph 'bereft' waits for an ensemble that fits: same-1 wants the ensemble 'far'")
    until(lambda: not any(alive(pid) for pid in family), "its workers end with it")
    assert system.manager.ensembles == ["near", "runtime-manager"]
    # A new one of the same name is taken in.
    system.begin("far")
    assert system.manager.wait_for_ensembles(["far"], LIMIT) == []
    system.manager.stop_graph(graph)
    system.deploy(ENDLESS, "bereft_no_more")
    system.manager.execute_graph("bereft_no_more")
    until(lambda: len(system.values("bereft_no_more")) > 2, "another graph runs there")


def test_an_ensemble_that_is_stopped_for_a_while_goes_on(own: Callable[..., System]) -> None:
    """As a device whose network is cut: the manager reports it lost, and its stream goes on when it is back."""
    system = own().with_ensembles("near", "far")
    graph = system.deploy(ENDLESS, "still")
    system.manager.execute_graph(graph)
    until(lambda: len(system.values("still")) > 2, "the stream runs")
    far = system.ensembles["far"].popen
    far.send_signal(signal.SIGSTOP)
    try:
        system.event("'far' is gone")
        assert not system.manager.wait(graph, 0.5)  # it is not done for that
    finally:
        far.send_signal(signal.SIGCONT)
    system.event("'far' is back")
    assert "far" in system.manager.ensembles
    before = len(system.values("still"))
    until(lambda: len(system.values("still")) > before + 3, "the stream goes on")
    values = system.values("still")
    assert values == list(range(1, len(values) + 1))  # and lost nothing


def test_ensembles_join_a_manager_that_was_started_again(own: Callable[..., System], tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "out.jsonl"
    first = Process("manager", "--rx-port", str(port), "--log", str(log))
    near, far = (Process("ensemble", name, "--manager", f"127.0.0.1:{port}") for name in ("near", "far"))
    try:
        until(lambda: "'near' joined" in first.said and "'far' joined" in first.said, "both have joined")
        with Remote(f"127.0.0.1:{port}", None) as remote:
            graph = compile_source(ENDLESS, "orphan.py", "orphan")
            remote.ask(do="deploy", json=graph.to_json())
            remote.ask(do="start", graph="orphan", inputs=encode_value({"trigger": 1}))
            until(lambda: len(remote.ask(do="outputs", graph="orphan")["rows"]) > 4, "the stream runs")
            until(lambda: log.exists() and log.read_text(), "outputs are in the file")
        family = first.family()
        first.popen.kill()
        first.wait()
        until(lambda: not any(alive(pid) for pid in family), "the manager's workers end with it")
        rows = [json.loads(line)["value"] for line in log.read_text().splitlines() if line.endswith("}")]
        assert rows == list(range(1, len(rows) + 1))
        system = own(port=port)
        assert system.manager.wait_for_ensembles(["near", "far"], LIMIT) == []
        until(lambda: "joining again" in near.said and "joining again" in far.said, "both say so")
        system.deploy(ENDLESS, "orphan")  # the name is free everywhere
        system.manager.execute_graph("orphan")
        until(lambda: len(values := system.values("orphan")) > 3 and values[0] == 1, "it runs from its beginning")
        system.manager.stop(ensembles=True)
        assert near.wait() == 0 and far.wait() == 0
    finally:
        for process in (first, near, far):
            process.end()


# The end.


def shared_memory(pids: set[int]) -> set[Path]:
    """The files in shared memory that these processes use."""
    found = set()
    for pid in pids:
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue
        found |= {Path(line.split()[5]) for line in maps.splitlines() if " /dev/shm/" in line}
    return found


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_and_all_its_processes(number: int, tmp_path: Path) -> None:
    log = tmp_path / "out.jsonl"
    (tmp_path / "endless.py").write_text(ENDLESS)
    run = Process("run", "--jsonl", "--log", str(log), "endless.py", cwd=tmp_path)
    try:
        # The log is flushed twice a second while it runs.
        until(lambda: log.exists() and log.read_text().count("\n") > 3, "the stream runs")
        family = run.family()
        assert len(family) >= 6  # two ensembles, their workers, and what started them
        files = shared_memory(family)
        os.killpg(run.popen.pid, number)  # as a terminal, `timeout` and a service manager do
        assert run.wait() == 0, run.said
        until(lambda: not any(alive(pid) for pid in family), "nothing is left")
    finally:
        run.end()
    assert "Traceback" not in run.said
    rows = [json.loads(line)["value"] for line in run.out]
    assert rows == list(range(1, len(rows) + 1)) and len(rows) > 3
    assert [json.loads(line)["value"] for line in log.read_text().splitlines()] == rows
    assert not [file for file in files if file.exists()]


def test_a_run_that_ends_before_all_is_done_says_so(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(ENDLESS.replace("    return x\n", "    import time; time.sleep(60); return x\n"))
    run = Process("run", "--until", "300ms", "slow.py", cwd=tmp_path)
    try:
        assert run.wait() == 0
        assert "not everything is done" in run.said and " runs on " in run.said
    finally:
        run.end()


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(ONE.replace("return x + 1", "import time; time.sleep(600)"))
    run = Process("run", "--ensemble", "a", "hangs.py", cwd=tmp_path)
    try:
        until(lambda: len(run.family()) >= 5, "its worker is there")
        family = run.family()
        run.popen.send_signal(signal.SIGINT)
        until(lambda: "press Ctrl-C again" in run.said, "it says what a second one does")
        run.popen.send_signal(signal.SIGINT)
        run.wait()
        until(lambda: not any(alive(pid) for pid in family), "nothing is left")
    finally:
        run.end()


def test_the_ensembles_of_a_killed_run_end_with_it(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    run = Process("run", "--jsonl", "endless.py", cwd=tmp_path)
    try:
        until(lambda: len(run.family()) >= 7, "ensembles and workers are there")
        family = run.family()
        run.popen.kill()
        run.wait()
        until(lambda: not any(alive(pid) for pid in family), "nothing is left")
    finally:
        run.end()


def test_stop_ends_the_whole_system(tmp_path: Path) -> None:
    port = free_port()
    asked = ["--manager", f"127.0.0.1:{port}"]
    manager = Process("manager", "--rx-port", str(port))
    ensembles = [Process("ensemble", name, *asked) for name in ("near", "far")]
    program = tmp_path / "endless.py"
    program.write_text(ENDLESS)
    try:
        until(lambda: manager.said.count("joined") == 2, "both have joined")
        deploy = Process("deploy", str(program), "--start", *asked)
        assert deploy.wait() == 0, deploy.said
        families = set().union(*(process.family() for process in [manager, *ensembles]))
        assert len(families) >= 5
        files = shared_memory(families)
        refused = Process("stop", *asked)
        assert refused.wait() == 2 and "--yes" in refused.said
        stop = Process("stop", "--yes", *asked)
        assert stop.wait() == 0 and "stopped" in stop.said
        for process in [manager, *ensembles]:
            assert process.wait() == 0
            assert "Traceback" not in process.said
        until(lambda: not any(alive(pid) for pid in families), "nothing is left")
    finally:
        for process in [manager, *ensembles]:
            process.end()
    assert not listens(port)
    assert not [file for file in files if file.exists()]


def test_the_end_of_a_graph_ends_a_run(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ONE)
    run = Process("run", "--jsonl", "--ensemble", "a", "--workers", "0", "one.py", cwd=tmp_path)
    assert run.wait() == 0
    assert [json.loads(line)["value"] for line in run.out] == [2]
    until(lambda: not run.family() - {run.popen.pid}, "nothing is left")


def test_the_ensembles_of_a_run_leave_with_it_without_a_line(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ONE)
    run = Process("run", "--start-at", "2020-01-01", "--ensemble", "a", "--workers", "0", "one.py", cwd=tmp_path)
    assert run.wait() == 1
    assert "graph 'one' cannot start at 2020-01-01" in run.said and "has left" not in run.said


def test_a_manager_leaves_no_thread_no_port_and_no_descriptor() -> None:
    threads, before = set(threading.enumerate()), set(children(os.getpid()))
    system = System()
    port = int(system.address.rpartition(":")[2])
    system.one("one")
    assert listens(port)
    workers = set(children(os.getpid())) - before
    assert workers
    system.end()
    until(lambda: set(threading.enumerate()) <= threads, "every thread has ended")
    assert not listens(port)
    assert not any(alive(pid) for pid in workers)
