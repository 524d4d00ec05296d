"""Nothing unbounded happens where time is kept: heavy values are rendered, sized and refused in workers."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fuzz_messages import NoLink
from systems import HEAD, Process, System, alive, free_port, repeated, until

from ticktalk import payloads as carry
from ticktalk.ensemble import TTEnsemble
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted import checkpoints, subscriptions, waiting_bytes
from ticktalk.hosted.completion import Completion
from ticktalk.manager.outputs import ERRORS_KEPT, ERRORS_LENGTH, LONGEST_ROW, ROWS_LENGTH, Errors, Outputs
from ticktalk.manager.state import ContextState, GraphState, ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import NetMsg, RuntimeMsg, SyncMsg
from ticktalk.network_interface import Receive
from ticktalk.network_keys import Path as Path_
from ticktalk.payloads import FiringError, InstanceState, OutputToken
from ticktalk.physical import manager_node
from ticktalk.physical.manager_node import Callbacks, in_loop
from ticktalk.physical.network import outbox, zenoh_link
from ticktalk.physical.workers import worker_body
from ticktalk.physical.workers.protocol import FiringLeftOut
from ticktalk.values.codec import Encoded

HEAVY = (
    HEAD
    + """
@SQify
def huge(trigger):
    return 3 ** 200000
@SQify
def colliding(trigger):
    return {(2**61 - 1) * n for n in range(4000)}
@GRAPHify
def main(trigger):
    return huge(trigger), colliding(trigger)
"""
)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    made = System()
    yield made
    made.end()


def test_heavy_outputs_hold_up_no_manager(system: System) -> None:
    """An int of a million bits and a set of ints that collide: rendering or opening either takes seconds."""
    numbers = itertools.count()

    def slowest() -> float:
        """The longest time in which the manager did nothing, in seconds."""
        graph = f"heavy{next(numbers)}"
        system.deploy(HEAVY, graph)
        beats: list[float] = []

        def beat() -> None:
            beats.append(time.monotonic())

        system.manager._handle.node.loop.every(20_000, beat)
        system.manager.execute_graph(graph)
        until(lambda: len(system.manager.process.state.graphs[graph].rows) == 1, "both come", 60)
        rows = system.manager.process.state.graphs[graph].rows
        assert rows[0].isprintable() and len(rows[0]) > 100_000
        return max(after - before for before, after in itertools.pairwise(beats))

    repeated(slowest, lambda seconds: seconds < 1.0, "the manager does not stand still")


def state_with(graph: str) -> ManagerState:
    state = ManagerState(EnsembleInfo("boss"))
    held = state.graphs[graph] = GraphState(TTGraph(graph), {"f-1": "boss"}, ["boss"], set())
    held.contexts[1] = ContextState(1, 0, {}, None, 0, Completion({"boss"}))
    return state


def test_kept_rows_are_bounded_in_bytes(tmp_path: Path) -> None:
    state = state_with("g")
    log = tmp_path / "log.jsonl"
    outputs = Outputs(state, str(log), rows_kept=1000)
    outputs.begin(state.graphs["g"].contexts[1])
    for number in range(40):
        size = 3 * LONGEST_ROW if number == 7 else LONGEST_ROW // 2
        shown = f'"value": "{"x" * size}"'
        outputs.take(OutputToken("g", b"", number, number + 1, "f-1", "boss", 1, shown=shown), 5)
    outputs.close()
    kept: Any = state.graphs["g"]
    assert sum(map(len, kept.rows)) == kept.rows_length <= ROWS_LENGTH
    assert json.loads(kept.rows[-1])["start"] == 39 and max(map(len, kept.rows)) <= LONGEST_ROW
    assert len(log.read_text().splitlines()) == 40, "the log has them all, whole"


LONG = (
    HEAD
    + """
@SQify
def make(n):
    global sq_state
    sq_state["kept"] = b"s" * n
    return b"x" * n
@SQify
def length(x):
    return len(x)
@GRAPHify
def main(n):
    return length(make(n))
"""
)


@pytest.mark.parametrize("workers", [1, 0])
def test_a_value_that_is_too_long_is_an_error_of_its_firing(workers: int) -> None:
    system = System(workers=workers, max_value=1_000_000)
    try:
        for number, size in enumerate((900_000, 1_100_000)):
            system.deploy(LONG, f"long{number}")
            system.manager.execute_graph(f"long{number}", {"n": size})
            assert system.manager.wait(f"long{number}", 30)
        until(lambda: system.values("long0") == [900_000], "what is short enough passes")
        (error,) = system.manager.process.state.latest_errors
        assert error.sq == "make-1" and "1100005 bytes: 1000000 may be sent" in error.exception
        assert not system.values("long1")
        system.one("after")
    finally:
        system.end()


OFTEN = (
    HEAD
    + """
@SQify
def first(n):
    return n
@SQify
def inverse(n):
    return 1 // n
@GRAPHify
def main(n):
    with TTConstraint(name="edge"):
        x = first(n)
    with TTConstraint(name="runtime-manager"):
        return inverse(x)
"""
)


def test_contexts_that_ended_long_ago_are_sums(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktalk.manager.reports.ENDED_KEPT", 3)
    manager, node = system.manager, system.manager._handle.node
    system.with_ensembles("edge")
    system.deploy(OFTEN, "often")
    for number in range(9):
        manager.execute_graph("often", {"n": number % 3})
        assert manager.wait("often", 30)
    (state,) = [graph for graph in manager.process.state.graphs.values() if graph.name == "often"]
    until(lambda: len(system.values("often")) == 6, "the outputs come")
    (told,) = [graph for graph in manager.status()["graphs"] if graph["name"] == "often"]
    assert len(told["contexts"]) == 4 and told["former_contexts"] == 5 == state.former.contexts
    assert told["outputs"] == 6 and told["counters"]["inverse-1"] == {"errors": 3}
    kept = set(state.contexts)

    def here() -> list[set[int]]:
        stores = (node.host.contexts, node.duties.arcs, node.tokens.of, node.duties.reports.outputs)
        bodies = {(body.context.prepared.graph.name, body.context.number) for body in node.workers._bodies.values()}
        return [{number for graph, number in store if graph == "often"} for store in (*stores, bodies)]

    until(lambda: all(numbers <= kept for numbers in in_loop(node, here)), "the ensemble has forgotten them too")
    assert in_loop(node, here)[0] == kept
    manager.stop_graph("often")
    system.one("after_often")


def open_files() -> Counter[str]:
    """What this process has open, by kind."""
    found: Counter[str] = Counter()
    for number in os.listdir("/proc/self/fd"):
        try:
            found[os.readlink(f"/proc/self/fd/{number}").partition(":[")[0]] += 1
        except OSError:
            pass  # closed meanwhile
    return found


def test_fifty_ensembles_that_join_and_go_leave_nothing_open(system: System) -> None:
    manager = system.manager

    def round_of(number: int) -> None:
        members = [TTEnsemble(None, f"many{number}-{k}") for k in range(10)]
        runs = [
            threading.Thread(target=each.run_phy, args=(manager.address,), kwargs={"workers": 0}) for each in members
        ]
        for run in runs:
            run.start()
        assert manager.wait_for_ensembles([each.name for each in members], 60) == []
        for each in members:
            each.stop()
        for run in runs:
            run.join(60)
        until(lambda: not [name for name in manager.ensembles if name.startswith("many")], "they have gone")

    round_of(0)  # the first ones make what is made once
    before = open_files()
    assert not [name for name in before if name.startswith("/dev/shm") and "zenoh" in name]
    for number in range(1, 6):
        round_of(number)
    until(lambda: not open_files() - before, "all that they had open is closed")


def test_kept_errors_are_bounded_in_bytes() -> None:
    state = state_with("g")
    errors = Errors(state)
    for number in range(300):
        errors.add(FiringError("f-1", "boss", number, number + 1, "prog.py", 1, "x" * 50_000, "y" * 50_000))
    assert errors.count == 300 and errors.kept[-1].start == 299
    assert sum(len(error.exception) + len(error.traceback) for error in errors.kept) <= ERRORS_LENGTH
    for number in range(5000):
        errors.add(FiringError("f-1", "boss", number, number + 1, "prog.py", 1, "x"))
    assert errors.count == 5300 and len(errors.kept) <= ERRORS_KEPT


def test_callbacks_that_do_not_keep_up_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(manager_node, "CALLS", 100)
    monkeypatch.setattr(manager_node, "CALLS_BYTES", 1000)
    callbacks, made, goes = Callbacks(), [], threading.Event()

    def slow(item: Any) -> None:
        goes.wait(60)
        made.append(item)

    call = callbacks.wrap(slow)
    for number in range(1000):
        call(number)
    left_out = callbacks.left_out
    assert 899 <= left_out <= 900
    assert [record.getMessage()[:25] for record in caplog.records] == ["callbacks do not keep up:"]
    goes.set()
    until(lambda: len(made) == 1000 - left_out, "those that waited are made")
    goes.clear()
    long = OutputToken("g", Encoded(b"v" * 400), 0, 1, "f-1", "boss", 1)
    for _ in range(50):
        call(long)
    goes.set()
    callbacks.close()
    assert 46 <= callbacks.left_out - left_out <= 47, "values are bounded in bytes"
    assert f"{callbacks.left_out} calls of callbacks were left out" in caplog.messages[-1]


def test_checkpoints_go_in_parts_that_a_frame_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = InstanceState(body=b"").size + checkpoints._NAMED + 2 * len("f-0")
    monkeypatch.setattr(checkpoints, "LARGE", 100 + 2 * beside)
    states = {f"f-{k}": InstanceState(body=b"s" * size) for k, size in enumerate((60, 40, 1, 500, 99, 1, 1))}
    found = list(checkpoints.parts(states))
    assert [list(part) for part in found] == [["f-0", "f-1"], ["f-2"], ["f-3"], ["f-4", "f-5"], ["f-6"]]
    assert {sq: state for part in found for sq, state in part.items()} == states
    assert list(checkpoints.parts({})) == []
    # What waits counts, too, wherever it does.
    token, ends = b"t" * 30, (1, 2)
    waiting: Any = {
        "inbox": [(0, *ends, token)],
        "remote": [(0, *ends, token)],
        "ports": [(0, 1, 1, 2, token)] * 3,
        "sticky": [(0, 1, 1, 2, token)],
        "settled": [None, (0, 1, 1, 2, token)],
        "data": [(5, (0, 1, 1, 2, token))],
        "due": [(1, 1, 2, 5)],
    }
    assert InstanceState(waiting, b"s" * 5).size >= 8 * 30 + 5
    many = {(k, "f-1"): InstanceState(waiting) for k in range(3)}
    assert [list(part) for part in checkpoints.parts(many)] == [[(k, "f-1")] for k in range(3)]
    by_context = checkpoints.parts_of_contexts({1: {"f-1": InstanceState(waiting)}, 2: {}, 3: {"f-1": states["f-2"]}})
    assert by_context == [{2: {}}, {1: {"f-1": InstanceState(waiting)}}, {3: {"f-1": states["f-2"]}}]
    assert checkpoints.parts_of_contexts({}) == [{}]


ABSURD = (
    HEAD
    + """
@STREAMify
def beat(trigger):
    return 1
@SQify
def power(trigger):
    print("it computes")
    return 3 ** 2000000
@SQify
def colliding(trigger):
    return {(2**61 - 1) * n for n in range(45_000)}
@SQify
def long(trigger):
    global sq_state
    sq_state["kept"] = b"s" * 300_000_000
    return b"x" * 300_000_000
"""
)

APART = """
@GRAPHify
def main(trigger):
    with TTConstraint(name="one"):
        power(trigger)
    with TTConstraint(name="two"):
        colliding(trigger)
    with TTConstraint(name="three"):
        long(trigger)
    with TTConstraint(name="runtime-manager"):
        return beat(trigger, TTPeriod=50_000)
"""


def test_absurd_values_hold_up_only_their_own_workers() -> None:
    """Rendering 950,000 digits, or 45,000 values of one hash, takes half a minute; 300 MB may not be sent."""
    system = System().with_ensembles("one", "two", "three")
    try:
        system.deploy(ABSURD + APART, "absurd")
        system.manager.execute_graph("absurd")
        (error,) = until(lambda: list(system.errors), "the error comes", 60)
        assert error.sq == "long-1" and "300000005 bytes: 64000000 may be sent" in error.exception
        system.event("long-1: sq_state (3", "not in the checkpoints")
        seen, slowest = len(system.values("absurd")), 0.0
        for _ in range(20):
            began = time.monotonic()
            system.manager.status()
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.02)
        assert slowest < 10, f"the manager took {slowest:.1f} s to answer"
        until(lambda: len(system.values("absurd")) > seen + 10, "the stream goes on")
        assert not [event for event in system.events if "is gone" in event]
    finally:
        began = time.monotonic()
        system.end()
    assert time.monotonic() - began < 20, "it does not wait for the bodies"


def test_sigterm_ends_a_run_whose_body_makes_an_absurd_value(tmp_path: Path) -> None:
    alone = "\n@GRAPHify\ndef main(trigger):\n    return power(trigger)\n"
    (tmp_path / "prog.py").write_text(ABSURD + alone)
    process = Process("run", "--jsonl", str(tmp_path / "prog.py"))
    until(lambda: "it computes" in process.said, "the body runs")
    family = process.family()
    process.popen.terminate()
    process.wait(20)
    assert "Traceback" not in process.said and not process.out
    until(lambda: not any(alive(pid) for pid in family), "nothing of it is left")


SLOW = (
    HEAD
    + """
@STREAMify
def src(trigger):
    return b"x" * 10_000
@SQify
def slow(x):
    import time
    time.sleep(0.3)
    return len(x)
@GRAPHify
def main(trigger):
    with TTConstraint(name="runtime-manager"):
        return slow(src(trigger, TTPeriod=5_000), TTPersistent=True)
"""
)


@pytest.mark.parametrize("bound, most", [("UNDER_WAY", 40), ("UNDER_WAY_BYTES", 20 * 10_005)])
def test_firings_that_wait_for_a_slow_body_are_bounded(
    bound: str, most: int, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_body, bound, most)
    manager, node, name = system.manager, system.manager._handle.node, bound.lower()
    system.deploy(SLOW, name)
    manager.execute_graph(name)
    until(lambda: manager.counters(name).get("slow-1", {}).get("overflow", 0) > 20, "firings are left out")

    def under_way() -> int:
        return max(len(body.in_flight) for body in node.workers._bodies.values())

    assert in_loop(node, under_way) <= 40 + 1
    before = len(system.values(name))
    until(lambda: len(system.values(name)) > before + 2, "the others go on")
    assert in_loop(node, under_way) <= 40 + 1 and not manager.counters(name)["slow-1"].get("lost")
    *_, last, newest = [int(token.start) for token in list(system.outputs) if token.graph == name]
    assert newest - last > 5_000, "the stalest are left out, not those that come"
    manager.stop_graph(name)


def test_a_long_value_is_kept_in_place_of_several_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_body, "UNDER_WAY_BYTES", 1_000)
    counted, asked = Counter[str](), list[Any]()
    sq = SimpleNamespace(full_token=False, body="same")
    elsewhere: Any = SimpleNamespace(sq=sq, tally=lambda kind: counted.update([kind]), done=lambda: None)
    context: Any = None
    body = worker_body.WorkerBody(0, "first", context, elsewhere, None, asked.append)
    short, long = Encoded(b"x" * 100), Encoded(b"x" * 550)
    for start in range(worker_body.FEW + 9):
        assert body.put(None, start, start + 1, (short,))
    assert body.held == 900 and not asked
    assert body.put(None, 100, 101, (long,)) and not body.put(None, 101, 102, (long,))
    for start in range(worker_body.FEW, worker_body.FEW + 5):
        assert body.leaves_out
        body.stalest_left_out(FiringLeftOut(0, (start, start + 1)))
    assert not body.leaves_out and body.held == 950 and counted == {"overflow": 6} and len(asked) == 5


def test_keys_that_were_published_on_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zenoh_link, "PUBLISHERS", 3)
    there, here = zenoh_link.TTNetworkInterfaceZenoh(), zenoh_link.TTNetworkInterfaceZenoh()
    port = free_port()
    came: list[bytes] = []
    try:
        there.open("router", f"127.0.0.1:{port}")
        here.open("client", connect=[f"127.0.0.1:{port}"])
        there.subscribe("key/*", lambda payload, attached: came.append(bytes(payload)))
        until(lambda: here.subscribed("key/0"), "the subscription is known")
        for number in range(20):
            here.publish(f"key/{number % 10}", b"%d" % number)
            here.flush()
        until(lambda: sorted(map(int, came)) == list(range(20)), "all come")
        assert len(here._publishers[Path_.TOKENS]) <= 3
    finally:
        here.close()
        there.close()


def sizes(parts: list[Any]) -> dict[str, int]:
    """The lengths of all stores of these objects."""
    found = {}
    for part in parts:
        for name in getattr(part, "__struct_fields__", None) or list(vars(part)):
            value = getattr(part, name)
            if isinstance(value, dict | list | set | deque):
                found[f"{part.__class__.__name__}.{name}"] = len(value)
    return found


def test_messages_about_graphs_that_are_not_there_leave_nothing(system: System) -> None:
    node = system.manager._handle.node
    duties = node.duties
    parts = [node, node.host, node.tokens, node.workers, node._listening, node.network_manager, duties]
    parts += [duties.moves, duties.checkpoints, duties.reports, duties.reports._watchdog, system.manager.process.state]

    def ask(name: str) -> None:
        requests = system.manager.process.requests.handlers
        taken: dict[Any, Any] = {
            SyncMsg.STOP: carry.StopGraph(name),
            SyncMsg.REPORT: carry.ReportRequest(name, 7, 1),
            SyncMsg.EXPECT: carry.Expect(name, ["f-1"]),
            SyncMsg.HAND_OVER: carry.HandOver(name, {"f-1": "other"}, {}),
            SyncMsg.SET_GRID: carry.SetGrid(name, "f-1", 10, 0, 5),
            SyncMsg.START: carry.StartContext(name, 7, 0, {}),
            SyncMsg.PLACE: carry.Placement(name, {"f-1": "other"}, {}, {}, []),
        }
        for kind, payload in taken.items():
            node.input_token_process.handlers[kind](payload)
        for number in (carry.HowFar("other", name, ["f-1/0"]), carry.SoFar("other", name, {})):
            kind = NetMsg.HOW_FAR if isinstance(number, carry.HowFar) else NetMsg.SO_FAR
            node.network_manager.handlers[kind](number)
        requests[RuntimeMsg.REPORT](carry.IdleReport(name, 7, "other", 1))
        requests[RuntimeMsg.CHECKPOINT](carry.Checkpoint(name, 7, "other", 0, {}))
        requests[RuntimeMsg.PLACED](carry.Placed(name, "other", ["f-1"], None, False, {}))
        requests[RuntimeMsg.HANDED](carry.Handed(name, "other", {}, []))
        requests[RuntimeMsg.READY](carry.ReadyAnswer(name, "other", None))
        node._drain()

    in_loop(node, lambda: ask("ghost"))
    before = in_loop(node, lambda: sizes(parts))
    for number in range(100):
        in_loop(node, lambda name=f"ghost{number}": ask(name))
    after = in_loop(node, lambda: sizes(parts))
    assert {name: after[name] for name in before if after[name] > before[name] + 20} == {}


def test_rows_that_a_command_does_not_read_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "HELD", 1000)
    waits = outbox.Outbox(Path_.TOKENS)
    dropped = sum(waits.add("key", b"r" * 100, None, 100)[1] for _ in range(50))
    assert len(waits.waits) <= 11 and dropped == 50 - len(waits.waits)


def test_tokens_that_wait_to_be_sent_are_bounded_in_bytes() -> None:
    """Also where they are sent together; what was sent makes room."""
    sent = []

    def together(parts: list[Any]) -> bytes:
        return b"".join(parts)

    tokens = outbox.Outbox(Path_.TOKENS, 1000)
    assert sum(tokens.add("arc", b"t" * 100, together, 100)[1] for _ in range(50)) == 50 - len(tokens.waits)
    assert len(tokens.waits) == 10
    for _ in range(20):
        while (found := tokens.next()) is not None:
            sent += [frame for frame, _ in found[1]]
        assert sum(tokens.add("arc", b"t" * 100, together, 100)[1] for _ in range(10)) == 0
    assert sum(map(len, sent)) == 20 * 1000
    assert tokens.add("arc", b"T" * 5000, None, 5000)[1] == 10 and len(tokens.waits) == 1, "the latest waits"


class Key(str):
    """The key of an arc; compared as often as `looks` says."""

    looks = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Key.looks += 1
        return str.__eq__(self, other)


def test_an_ensemble_that_listens_anew_looks_at_each_arc_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "arc_key", lambda graph, arc: Key(arc))
    asked: list[str] = []

    def receiver(graph: str, arc: str) -> Receive:
        asked.append(arc)
        return lambda payload, attached: None

    listening = subscriptions.Listening(NoLink(), receiver)
    arcs = [f"f-{number}/0" for number in range(200)]
    listening.listen("prog", arcs)
    listening.listen("prog", [*arcs[1:], "g-1/0"])
    assert asked == [*arcs, "g-1/0"] and Key.looks < 3 * len(arcs)


class Crowded(deque[Any]):
    """Parts that find no room: just when the sender takes the second one, the timekeeper lets those in front go."""

    gone = 0
    taken = 0

    def popleft(self) -> Any:
        self.taken += 1
        for _ in range(self.gone if self.taken == 2 else 0):
            super().popleft()
        return super().popleft()


@pytest.mark.parametrize(
    ("gone", "frames"), [(1, [("a", b"13"), ("b", b"4")]), (2, [("a", b"1"), ("b", b"4")]), (3, [("a", b"1")])]
)
def test_a_token_goes_on_the_key_of_its_own_arc_though_those_before_it_go(
    gone: int, frames: list[tuple[str, bytes]]
) -> None:
    tokens = outbox.Outbox(Path_.TOKENS)
    tokens.waits = parts = Crowded()
    parts.gone = gone
    join = b"".join
    for key, part in (("a", b"1"), ("a", b"2"), ("a", b"3"), ("b", b"4")):
        tokens.add(key, part, join, 1)
    sent: list[tuple[str, bytes]] = []
    while (found := tokens.next()) is not None:
        sent += [(found[0], frame) for frame, _ in found[1]]
    assert sent == frames


SILENT = (
    HEAD
    + """
@STREAMify
def src(trigger):
    return b"x" * 50_000
@SQify
def never(x):
    return TTEmpty()
@SQify
def both(x, y):
    return len(x)
@GRAPHify
def main(trigger):
    with TTConstraint(name="runtime-manager"):
        s = src(trigger, TTPeriod=5_000)
        return both(s, never(s))
"""
)


def test_tokens_that_wait_for_a_silent_partner_are_bounded_in_bytes(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 30 s, for which they may wait, they would be 300 MB."""
    monkeypatch.setattr(waiting_bytes, "WAITING_BYTES", 1_000_000)
    manager, node = system.manager, system.manager._handle.node
    system.deploy(SILENT, "silent")
    manager.execute_graph("silent")
    until(lambda: manager.counters("silent").get("both-1", {}).get("overflow", 0) > 10, "the stalest leave")

    def waits() -> dict[str, int]:
        (context,) = [context for (graph, _), context in node.host.contexts.items() if graph == "silent"]
        found: dict[str, int] = context.syncs["both-1"].waiting()
        return found

    assert 15 <= in_loop(node, waits)["x"] <= 25
    manager.stop_graph("silent")
