"""Well-formed messages with impossible content are refused where they come in and counted; the receiver serves on."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from fuzz_messages import Fuzz, NoLink
from systems import LIMIT

from ticktalk.counters import REFUSED
from ticktalk.defaults import CLOCK_STEP
from ticktalk.errors import TTError
from ticktalk.hosted.arc_numbers import LEAP, ArcNumbers
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.memory_payloads import Settle
from ticktalk.messages import ROWS, VALUES, Message, NetMsg, RuntimeMsg, SyncMsg, message
from ticktalk.network_keys import JOIN, Path
from ticktalk.payloads import (
    FiringError,
    HowFar,
    IdleReport,
    Place,
    Placed,
    Pong,
    ReadyAnswer,
    SetGrid,
    SoFar,
    Voters,
)
from ticktalk.physical.host_facts import describe_host
from ticktalk.physical.memory.arena import PLACES
from ticktalk.physical.network import control_frames
from ticktalk.physical.network.control_frames import control_frame, parse_control
from ticktalk.physical.network.frames import HEAD, LONGEST, InvalidError
from ticktalk.physical.timekeeping.root_clock import ClockDiscipline, Exchange
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.trust.user_token import own_token
from ticktalk.ranges import LONGEST_TEXT, MOST_SQS, MOST_STARTS
from ticktalk.replacement import Switched
from ticktalk.values.codec import Encoded, encode_value


@pytest.fixture
def receivers() -> Iterator[Fuzz]:
    """A node that hosts a part of a running graph, and the manager of it."""
    made = Fuzz(1)
    yield made
    made.close()


def refused(receivers: Fuzz, kind: Any, payload: Any, counter: str = "invalid", ensemble: str = "edge") -> bool:
    """True if the receiver that a message is for refuses it, and counts that."""
    to_manager = isinstance(kind, RuntimeMsg)
    node, sender = (receivers.manager.node, ensemble) if to_manager else (receivers.node, "boss")
    before = node.own[counter]
    receivers.send(node, sender, kind, payload)
    receivers.turn()
    return node.own[counter] == before + 1


GRID = {"graph": "prog", "sq": "src-1", "period": 100_000, "phase": 0, "width": 10}


@pytest.mark.parametrize(
    "change",
    [{"period": -5}, {"period": 0}, {"period": 2**63 - 1}, {"phase": -1}, {"phase": 100_000}, {"width": 0}, {"sq": ""}],
)
def test_a_grid_that_cannot_be_is_refused(receivers: Fuzz, change: dict[str, Any]) -> None:
    assert refused(receivers, SyncMsg.SET_GRID, GRID | change)
    assert not refused(receivers, SyncMsg.SET_GRID, GRID)
    assert receivers.node.host.prepared["prog"].graph.sq("src-1").period == 100_000


def test_the_refusal_names_the_fault_and_its_place() -> None:
    good = control_frame(message(SyncMsg.SET_GRID, SetGrid("prog", "src-1", 7_000, 0, 10)))
    assert isinstance(parse_control(good).payload, SetGrid)
    bad = good.replace((7_000).to_bytes(2, "big"), (-5_000).to_bytes(2, "big", signed=True)).replace(b"\xcd", b"\xd1")
    with pytest.raises(InvalidError, match=r"SyncMsg.SET_GRID that cannot be: .*>= 1.*\$\.period"):
        parse_control(bad)


def test_sqs_that_are_not_there_break_no_move(receivers: Fuzz) -> None:
    assert refused(receivers, SyncMsg.EXPECT, {"graph": "prog", "sqs": ["ghost"]})
    assert refused(receivers, SyncMsg.HAND_OVER, {"graph": "prog", "to": {"ghost": "boss"}})
    assert refused(receivers, SyncMsg.PLACE, {"graph": "prog", "host_of": {"src-1": "edge"}, "generations": {}})
    assert not receivers.node.moves.under_way("prog"), "the next order is not waited for in vain"
    assert not refused(receivers, SyncMsg.EXPECT, {"graph": "prog", "sqs": ["src-1"]})


@pytest.mark.parametrize("start, stop", [(5, 5), (9, 3), (math.nan, 4), (0, math.nan), (math.inf, math.inf), (0, 1e99)])
def test_an_interval_that_holds_nothing_fires_nothing(receivers: Fuzz, start: float, stop: float) -> None:
    node, link = receivers.node, receivers.node.link
    assert isinstance(link, NoLink)
    ((key, receive),) = [(key, receive) for key, receive in link.receivers.items() if "src-1" in key]
    context = receivers.manager.process.state.starts
    for begin, end, valid in ((start, stop, False), (0, 10, True)):
        before = node.own["invalid"]
        parcel = [context, 0, b"", 1, begin, end, encode_value(1)]
        receive(*receivers.guards["boss"].seal_tokens(key, ["edge"], HEAD + msgspec.msgpack.encode([parcel]), None))
        receivers.turn()
        assert node.own["invalid"] == before + (not valid)
    output = {"graph": "prog", "value": encode_value(1), "start": start, "stop": stop, "sq": "double-1"}
    output |= {"ensemble": "edge", "context": context, "shown": '"value": 1'}
    assert refused(receivers, RuntimeMsg.OUTPUT_TOKENS, [[output], 0])
    assert not refused(receivers, RuntimeMsg.OUTPUT_TOKENS, [[output | {"start": 0, "stop": math.inf}], 0])


@pytest.mark.parametrize(
    "field",
    ["", "1", '"value": NaN', '"value": 1, "sq": "x"', '"value": 1}', '"value": 1\n', '"repr": 5'],
)
def test_a_rendered_value_is_one_field_of_a_line_of_json(receivers: Fuzz, field: str) -> None:
    output = {"graph": "prog", "value": encode_value(1), "start": 1, "stop": 2, "sq": "double-1", "ensemble": "edge"}
    output |= {"context": receivers.manager.process.state.starts, "shown": field}
    assert refused(receivers, RuntimeMsg.OUTPUT_TOKENS, [[output], 0])


def test_a_token_far_ahead_counts_as_few_lost_and_is_counted_on_from() -> None:
    lost: list[int] = []
    numbers = ArcNumbers(lambda arc, missing: lost.append(missing), ["a/0"])
    for number in (1, 2, 1_000_000, 3, 4, 6):
        numbers.receive("a/0", number)
    assert lost == [LEAP, 1], "and the true numbers count again after a forged one"


def test_an_answer_that_steps_a_clock_too_far_is_refused() -> None:
    clock = ClockDiscipline()
    years = 10**14
    assert clock.take(Exchange(0, years, years, 0)) == ("step", years), "who joins takes the manager's time"
    forged = 4_096_000_000
    assert clock.take(Exchange(years, years + forged, years + forged, years)) == ("refused", forged)
    assert clock.take(Exchange(years, years + 40, years + 40, years)) == ("slew", 40), "the forged one weighs nothing"
    assert clock.take(Exchange(years, years - CLOCK_STEP, years - CLOCK_STEP, years))[0] == "step"


def test_a_clock_step_that_is_refused_is_counted_and_told_once(receivers: Fuzz) -> None:
    member, clock = receivers.member, receivers.node.clock

    def answer(forged: int) -> Any:
        member._ping()
        asked = member._pinged[-1]
        return msgspec.to_builtins(Pong(asked, asked + forged, asked + forged))

    assert not refused(receivers, NetMsg.PONG, answer(0))
    before = clock.now()
    for _ in range(2):
        assert refused(receivers, NetMsg.PONG, answer(4_096_000_000))
    assert clock.now() - before < 2_000_000_000
    (told,) = [text for text in receivers.said if "which is refused" in text]
    assert "the manager's clock would move this one by 1.13778h" in told and "start this ensemble anew" in told


def test_a_step_of_the_clock_is_made_once_and_makes_the_lease_no_longer(receivers: Fuzz) -> None:
    """The manager's host was suspended, and answers all heartbeats that came meanwhile at once."""
    member, clock, by = receivers.member, receivers.node.clock, -30_000_000
    watch = member._lease.watch

    def heartbeat() -> int:
        member._ping()
        return member._pinged[-1]

    def answered(asked: int, at: int) -> bool:
        return not refused(receivers, NetMsg.PONG, msgspec.to_builtins(Pong(asked, at, at)), "untimely")

    asked = heartbeat()
    assert answered(asked, asked)
    before, waited = clock.offset, [heartbeat(), heartbeat()]
    at = clock.now() + by
    assert answered(waited[0], at) and not answered(waited[1], at)
    assert clock.offset - before == pytest.approx(by, abs=7_000_000)
    (told,) = [text for text in receivers.said if "is set back by" in text]
    assert told.endswith("to the manager's: streams stand still for that time")
    assert watch.heard <= clock.now(), "else the lease would be longer by so much"
    asked = heartbeat()
    assert answered(asked, asked) and watch.heard == asked


def test_only_answers_to_own_heartbeats_count(receivers: Fuzz) -> None:
    now = receivers.node.clock.now()
    assert refused(receivers, NetMsg.PONG, msgspec.to_builtins(Pong(now + 10**9, now, now)), "untimely")


def test_a_heartbeat_counts_few_kinds(receivers: Fuzz) -> None:
    """The manager keeps the counts of the latest one."""
    counts = {f"kind {number}": 1 for number in range(101)}
    assert refused(receivers, RuntimeMsg.PING, ["edge", 1, 0, 0, counts])
    assert not refused(receivers, RuntimeMsg.PING, ["edge", 1, 0, 0, dict.fromkeys(REFUSED, 1)])


@pytest.mark.parametrize(("kind", "path"), [(RuntimeMsg.READY, Path.OUTPUTS), (RuntimeMsg.PING, Path.CONTROL)])
def test_a_message_comes_on_its_own_path(receivers: Fuzz, kind: RuntimeMsg, path: Path) -> None:
    """On another one it would pass by those before it, take their room, or be longer than its own lets it be."""
    payload = ["edge", 1] if kind is RuntimeMsg.PING else {"graph": "prog", "ensemble": "edge"}
    assert not refused(receivers, kind, payload)
    node, content = receivers.manager.node, control_frame(message(kind, msgspec.convert(payload, ROWS[kind].payload)))
    taken = receivers.taken
    receivers.bring(node, receivers.guards["edge"].seal("boss", content, path=path))
    assert receivers.taken == taken and node.own["invalid"] == 1


BOUNDED = [kind for kind, row in ROWS.items() if row.crosses and row.most < VALUES]


@pytest.mark.parametrize("kind", BOUNDED, ids=str)
def test_a_message_that_is_too_long_for_its_kind_is_refused_unread(
    receivers: Fuzz, kind: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row, name, read = ROWS[kind], control_frames._NAMES[kind], []

    def reads(data: memoryview) -> None:
        read.append(len(data))
        raise msgspec.DecodeError("it is none")

    monkeypatch.setitem(control_frames._CODECS, kind, control_frames._CODECS[kind]._replace(back=reads))
    node = receivers.manager.node if isinstance(kind, RuntimeMsg) else receivers.node
    sender = "boss" if node is receivers.node else "far"
    head = len(HEAD + msgspec.msgpack.encode([name, "", bytes(row.most >> 1)])) - (row.most >> 1)

    def bring(length: int) -> Counter[str]:
        before = node.own.copy()
        content = HEAD + msgspec.msgpack.encode([name, "", bytes(length - head)])
        assert len(content) == length
        node._control(receivers.guards[sender].seal(node.name, content, row.signed, row.path), 0)
        return node.own - before

    sealing = 1_000  # a path is bounded by its longest message, sealed
    assert bring(row.most - sealing) == {"bad_frames": 1} and read == [row.most - sealing - head]
    refused = {"invalid": 1} if row.most < LONGEST[row.path] else {"bad_frames": 1}
    assert bring(row.most + 1) == bring(row.most + 1) == refused and len(read) == 1
    told = [text for text in caplog.messages if f"{name} of {row.most + 1} bytes from '{sender}'" in text]
    assert len(told) == (row.most < LONGEST[row.path]), "once, and with its sender"


def test_the_bounds_hold_what_an_honest_ensemble_sends() -> None:
    """By hand: 10,000 SQs on one ensemble, with long names and much to report; all places of shared memory; texts."""
    sqs = [f"a_function_of_a_module-{number}" for number in range(10_000)]
    counts = {sq: {"late": 10**6, "evicted": 10**6} for sq in sqs}
    to = {f"{sq}/0": {"ensemble-12": 10**9} for sq in sqs}
    work, places = dict.fromkeys(sqs, (10**9,) * 4), {sq: Place("sensing", True) for sq in sqs}
    waiting = {sq: {"first": 10, "second": 10} for sq in sqs}
    numbers = dict.fromkeys(to, 10**9)
    report = IdleReport("g", 1, "far", 1, "busy", to, numbers, 1, counts, waiting, work=work, places=places)
    texts = "ü" * LONGEST_TEXT
    for kind, payload in (
        (RuntimeMsg.REPORT, report),
        (RuntimeMsg.SWITCHED, Switched("g", "far", 1, [report], numbers)),
        (NetMsg.SETTLE, Settle("far", bytes(16), [(place, 255) for place in range(PLACES)])),
        (NetMsg.HOW_FAR, HowFar("far", "g", list(to), 1)),
        (NetMsg.SO_FAR, SoFar("far", "g", {1: numbers}, 1)),
        (RuntimeMsg.PLACED, Placed("g", "far", sqs, None, True, {1: numbers})),
        (RuntimeMsg.READY, ReadyAnswer("g", "far", texts)),
        (RuntimeMsg.FIRING_ERROR, FiringError("f", "far", 1, 2, "prog.py", 1, texts, texts)),
        (NetMsg.PONG, Pong(1, 1, 1, voters=Voters(1, [f"an-ensemble-{number}" for number in range(10_000)]))),
    ):
        assert len(control_frame(message(kind, payload))) < ROWS[kind].most, kind


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (RuntimeMsg.CHECKPOINT, lambda many: {"context": 1, "tick": 1, "states": {str(n): {} for n in range(many)}}),
        (RuntimeMsg.HANDED, lambda many: {"states": {1: {str(n): {} for n in range(many)}}}),
    ],
    ids=["checkpoint", "handed"],
)
def test_states_of_more_sqs_than_an_ensemble_may_have_are_refused_before_they_are_read(
    kind: RuntimeMsg, payload: Callable[[int], dict[str, Any]]
) -> None:
    """Those of a million took two seconds."""

    def read(many: int) -> Message:
        content = msgspec.msgpack.encode({"graph": "g", "ensemble": "far"} | payload(many))
        return parse_control(HEAD + msgspec.msgpack.encode([control_frames._NAMES[kind], "", content]))

    assert read(MOST_SQS).msg_type is kind
    with pytest.raises(InvalidError, match=f"length <= {MOST_SQS}"):
        read(MOST_SQS + 1)


def test_what_is_for_the_manager_is_read_by_no_other(receivers: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    codec = control_frames._CODECS[RuntimeMsg.READY]
    seen = codec._replace(back=lambda data: (read.append("read"), codec.back(data))[1])
    monkeypatch.setitem(control_frames._CODECS, RuntimeMsg.READY, seen)
    for node, counted in ((receivers.manager.node, 0), (receivers.node, 1)):
        before = node.own["invalid"]
        receivers.send(node, "far", RuntimeMsg.READY, {"graph": "prog", "ensemble": "far", "problem": None})
        assert node.own["invalid"] == before + counted and read == ["read"]


def test_a_switch_reports_on_a_bounded_number_of_starts() -> None:
    report = IdleReport("g", 1, "far", 1)
    frame = control_frame(message(RuntimeMsg.SWITCHED, Switched("g", "far", 1, [report] * (MOST_STARTS + 1))))
    with pytest.raises(InvalidError, match=f"length <= {MOST_STARTS}"):
        parse_control(frame)


def test_reports_and_checkpoints_name_only_known_things(receivers: Fuzz) -> None:
    context = receivers.manager.process.state.starts
    report = {"graph": "prog", "context": context, "ensemble": "edge", "round": 1, "counts": {"ghost": {"late": 1}}}
    assert refused(receivers, RuntimeMsg.REPORT, report)
    assert refused(receivers, RuntimeMsg.REPORT, report | {"counts": {}, "lateness": {"src-1": [0]}})
    assert not refused(receivers, RuntimeMsg.REPORT, report | {"counts": {}, "lateness": {"src-1": [0, 0, 0]}})
    stuck = {"came": 3, "used": 0, "since": None, "waits_for": [], "ports": {"x": [1, 0, 5], "y": [1, 6, 7]}}
    stuck["near"] = near = ["x", 0, 5, "y", 6, 7]
    for change in (
        {"ports": {"ghost": [1, 0, 5]}},
        {"waits_for": ["ghost"]},
        {"near": ["ghost", *near[1:]]},
        {"near": ["x", 5, 5, *near[3:]]},
        {"ports": {"x": [1, math.nan, 5]}},
    ):
        assert refused(receivers, RuntimeMsg.REPORT, report | {"counts": {}, "stuck": {"double-1": stuck | change}})
    assert not refused(receivers, RuntimeMsg.REPORT, report | {"counts": {}, "stuck": {"double-1": stuck}})
    receivers.manager.process.requests._status()
    saved = {"graph": "prog", "context": context, "ensemble": "edge", "tick": 5, "states": {"ghost": {}}}
    assert refused(receivers, RuntimeMsg.CHECKPOINT, saved)
    placed = {"graph": "prog", "ensemble": "edge", "sqs": ["ghost"], "problem": "it does not run"}
    assert refused(receivers, RuntimeMsg.PLACED, placed)
    assert not refused(receivers, RuntimeMsg.PLACED, placed | {"sqs": ["src-1"], "problem": None})


@pytest.mark.parametrize("kind", [RuntimeMsg.OUTPUT_TOKENS, RuntimeMsg.FIRING_ERROR])
def test_outputs_and_errors_of_an_sq_come_from_its_hosts_only(receivers: Fuzz, kind: RuntimeMsg) -> None:
    """From that which it has left, too: some may have been under way."""
    process = receivers.manager.process
    process.requests.handlers[RuntimeMsg.JOIN](describe_host("far", {}, "127.0.0.1:3", "none", True, 1))
    receivers.turn()
    graph, sent = process.state.graphs["prog"], Counter[str]()

    def told(sq: str, ensemble: str) -> dict[str, Any]:
        who = {"sq": sq, "ensemble": ensemble, "start": 1, "stop": 2}
        if kind is RuntimeMsg.FIRING_ERROR:
            return who | {"file": "prog.py", "line": 3, "exception": "ValueError"}
        return who | {"graph": "prog", "value": encode_value(1), "context": process.state.starts, "shown": '"value": 1'}

    def not_taken(sq: str, ensemble: str) -> bool:
        payload: Any = told(sq, ensemble)
        if kind is RuntimeMsg.OUTPUT_TOKENS:
            sent[ensemble] += 1
            payload = [[payload], sent[ensemble]]
        return refused(receivers, kind, payload, ensemble=ensemble)

    def there() -> int:
        return len(graph.rows) + process.state.errors

    assert graph.host_of["double-1"] == "edge" and graph.host_of["src-1"] == "boss"
    before = there()
    assert not_taken("double-1", "far") and not_taken("src-1", "edge") and there() == before
    assert not not_taken("double-1", "edge") and there() == before + 1
    placed = {"graph": "prog", "ensemble": "edge", "sqs": ["double-1"], "problem": "it does not run"}
    assert not refused(receivers, RuntimeMsg.PLACED, placed)
    assert graph.host_of["double-1"] in ("boss", "far"), "it goes on elsewhere"
    assert not not_taken("double-1", "edge") and there() == before + 2
    assert not_taken("src-1", "far") and there() == before + 2


@pytest.mark.parametrize("name", ["**", "", "a/b", "a b"])
def test_ghosts_do_not_join(receivers: Fuzz, name: str) -> None:
    """A join is a question, and no frame holds one; nobody proves such a name, nor describes itself by it."""
    assert RuntimeMsg.JOIN not in control_frames._NAMES
    guard = receivers.manager.trust.guard
    ghost = Guard(ByToken(own_token(), name, "ensemble"))
    with pytest.raises(TTError):
        guard.asked(JOIN, ghost.ask(guard.greeting(), JOIN, b"").payload)
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"name": name}), type=EnsembleInfo)
    assert list(receivers.manager.process.state.ensembles) == ["edge"]


def test_a_state_that_no_rule_has_saved_begins_anew(receivers: Fuzz) -> None:
    node, context = receivers.node, receivers.manager.process.state.starts
    host_of = dict.fromkeys(node.host.prepared["prog"].host_of, "edge")
    states = {context: {"src-1": {"sync": {"newest": 1, "number": 1}}}}
    placement = {"graph": "prog", "host_of": host_of, "generations": {}, "states": states, "alone": []}
    receivers.send(node, "boss", SyncMsg.PLACE, placement)
    until = time.monotonic() + LIMIT
    while not all(name in node.host.contexts["prog", context].syncs for name in host_of) and time.monotonic() < until:
        receivers.turn()
    assert node.host.contexts["prog", context].counts["src-1"]["invalid"] == 1


def test_a_stream_far_behind_is_caught_up_with_at_once(receivers: Fuzz) -> None:
    """A clock that leaps, or a period too short to keep, holds up nothing else."""
    node, context = receivers.manager.node, receivers.manager.process.state.starts
    stream = node.host.contexts["prog", context].syncs["src-1"]
    until = time.monotonic() + LIMIT
    while not stream.pending and time.monotonic() < until:
        receivers.turn()
    node.receive(message(SyncMsg.SET_GRID, SetGrid("prog", "src-1", 1, 0, 1)))
    node.clock.step(10_000_000)
    began = time.thread_time()
    receivers.turn()
    assert time.thread_time() - began < 3
    skipped = node.host.contexts["prog", context].counts["src-1"]["skipped"]
    assert skipped > 9_000_000, "each instant counts all the same"


def test_tokens_kept_for_a_move_are_bounded_in_bytes(receivers: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktalk.hosted.moves.KEPT_BYTES", 1_000)
    moves = receivers.node.moves
    receivers.send(receivers.node, "boss", SyncMsg.EXPECT, {"graph": "prog", "sqs": ["src-1"]})
    receivers.turn()
    for number in range(100):
        moves.keep("prog", 1, "src-1/0", number, 0, 5, Encoded(bytes(90)))
    assert len(moves._kept["prog", 1]) == 11 and moves._kept_bytes == 990
    receivers.send(receivers.node, "boss", SyncMsg.STOP, {"graph": "prog"})
    receivers.turn()
    assert not moves._kept and moves._kept_bytes == 0, "what is given up is given back"
