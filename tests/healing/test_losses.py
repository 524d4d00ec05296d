"""Ensembles that fail, return and join: moved SQs, their new hosts and states, by hand-computed tables."""

from __future__ import annotations

import numpy as np
import pytest
from world import MS, S, World, graph_of

from ticktalk.engine.agenda import Agenda
from ticktalk.simulation.tick_ends import Ends

COUNT = "return count(trigger, TTPeriod=250000)"


def test_the_state_is_that_of_the_last_checkpoint() -> None:
    world = World(["b", "c"])
    world.start(graph_of(COUNT))
    world.events("- {at: 5600ms, fail: b}\n- {at: 9s, recover: b}")
    world.run(10 * S)
    table = [(tick // MS, value, host) for tick, value, host in world.table()]
    before = [(250 * n, n, "b") for n in range(1, 23)]
    # The checkpoint at 5 s holds 20. Noticed at 7.6 s, the instant at 7.5 s can still start, late.
    after = [(7600, 21, "c"), *((7500 + 250 * n, 21 + n, "c") for n in range(1, 10))]
    assert table == before + after
    assert table[22][0] - table[21][0] < 3000
    assert world.told("'b' is gone") == [7600 * MS] and world.told("count-1 goes on on 'c'") == [7600 * MS]
    world.check()


@pytest.mark.parametrize(("fails", "value"), [("3s", 8 + 1), ("3000001us", 12 + 1), ("2999999us", 8 + 1)])
def test_a_failure_at_the_tick_of_a_checkpoint_comes_before_it(fails: str, value: int) -> None:
    world = World(["b", "c"])
    world.start(graph_of(COUNT))
    world.events(f"- {{at: {fails}, fail: b}}")
    world.run(8 * S)
    assert next(value for _, value, host in world.table() if host == "c") == value


def test_only_the_lost_sqs_move_and_within_their_constraints() -> None:
    world = World(["b=gpu", "c", "d=gpu", "e"])
    world.start(
        graph_of(
            """
with TTConstraint(name=["b", "e"]):
    x = count(trigger, TTPeriod=250000)
with TTConstraint(components=["gpu"]):
    y = total(x)
with TTConstraint(name="c"):
    z = same(y)
with TTConstraint(name="b"):
    u = same(x)
return pair(z, x), u
"""
        )
    )
    before = dict(world.hosts())
    world.events("- {at: 3s, fail: b}\n- {at: 8s, recover: b}")
    world.at(7 * S, lambda: waiting.update(world.hosts()))
    waiting: dict[str, str] = {}
    world.run(12 * S)
    assert {sq for sq in before if before[sq] == "b"} >= {"count-1", "total-1", "same-2"}
    for sq, host in before.items():
        if host != "b":
            assert waiting[sq] == host
    assert (waiting["count-1"], waiting["total-1"], waiting["same-2"]) == ("e", "d", "")
    assert world.told("same-2 wants the ensemble 'b'") == [5 * S]
    assert world.hosts() == {**waiting, "same-2": "b"}  # it takes the SQs that wait, and nothing else
    assert world.told("same-2 goes on on 'b'") == [8 * S]
    world.check()


def test_a_late_ensemble_takes_the_waiting_sqs() -> None:
    world = World(["b=gpu", "c"])
    world.start(
        graph_of("with TTConstraint(components=['gpu']):\n    x = count(trigger, TTPeriod=250000)\nreturn same(x)")
    )
    world.events("- {at: 3100ms, fail: b}\n- {at: 7s, join: d}\n- {at: 8100ms, join: 'e=gpu'}")
    world.run(9 * S)
    assert world.hosts() == {"count-1": "e", "same-1": "c"}
    assert [(t // MS, v) for t, v, _ in world.table() if t > 4 * S] == [(8100, 13), (8250, 14), (8500, 15), (8750, 16)]


def test_without_checkpoints_it_begins_anew() -> None:
    world = World(["b", "c"], checkpoint=0)
    world.start(graph_of(COUNT))
    world.events("- {at: 3100ms, fail: b}")
    world.run(6 * S)
    assert [(t // MS, v) for t, v, host in world.table() if host == "c"] == [(5250, 1), (5500, 2), (5750, 3)]


@pytest.mark.parametrize(("checkpoint", "times"), [(1 * S, 1), (0, 2)])
def test_a_single_firing_is_not_repeated_from_a_checkpoint(checkpoint: int, times: int) -> None:
    world = World(["b", "c"], checkpoint=checkpoint)
    world.start(graph_of("return same(trigger)"))
    world.events("- {at: 3s, fail: b}")
    world.run()  # and it ends by itself
    assert world.values() == [1] * times


def test_the_delay_after_the_first_firing_goes_on() -> None:
    world = World(["b", "c"], notice=200 * MS, checkpoint=500 * MS)
    world.start(graph_of("return count(trigger, TTPeriod=250000, TTFirstInstanceDelay=1000000)"))
    world.events("- {at: 600ms, fail: b}")
    world.run(2 * S)
    # First at 0.25 s; then the first instant after 1.25 s.
    assert [(t // MS, v, host) for t, v, host in world.table()] == [(250, 1, "b"), (1500, 2, "c"), (1750, 3, "c")]


@pytest.mark.parametrize(("fails", "plan_b_at"), [("500ms", 3000), ("1500ms", 3500)])
def test_a_pending_deadline_goes_on_with_its_plan_b(fails: str, plan_b_at: int) -> None:
    world = World(["b", "c"])
    more = "@SQify\ndef nothing(x):\n    return TTEmpty()\n@SQify\ndef otherwise():\n    return 'plan b'\n"
    due = "TTTimeDeadline=READ_TTCLOCK(trigger) + 3000000, TTPlanB=otherwise()"
    world.start(graph_of(f"return TTFinishByOtherwise(nothing(trigger), {due})", more=more))
    world.events(f"- {{at: {fails}, fail: b}}")
    world.run()
    assert [(t // MS, v) for t, v, _ in world.table()] == [(plan_b_at, "plan b")]
    hosts = world.hosts()
    assert {hosts["otherwise-1"], hosts["TTFinishByOtherwise-1"]} == {"c"}


def test_sticky_values_and_the_last_start_go_on() -> None:
    world = World(["b", "c", "d"])
    more = """
@SQify
def scaled(x, k):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return (sq_state["n"], x * k)
"""
    graph = graph_of("return scaled(count(trigger, TTPeriod=500000), same(trigger))", more=more)
    world.start(graph, {"count-1": "b", "same-1": "c", "scaled-1": "d"}, {"trigger": 7})
    world.events("- {at: 3200ms, fail: d}")  # the setting came once, at 0; the checkpoint at 3 s holds it
    world.run(7 * S)
    values = [v for t, v, _ in world.table() if t > 4 * S]
    # The count in its state goes on at 7. Stream tokens between 3.2 s and 5.2 s are lost: 3.5, 4.0, 4.5, 5.0.
    assert values == [(7, 77), (8, 84), (9, 91)]
    assert world.counted("lost") == {"count-1": 4}
    assert [token.sq for token in world.outputs if token.arrival > 4 * S] == ["scaled-1"] * 3


def test_every_kind_of_value_is_kept_and_a_missing_codec_is_told_once() -> None:
    more = """
import threading
import numpy as np
from dataclasses import dataclass
@dataclass
class Pose:
    x: float
    seen: set
@STREAMify
def keep(trigger):
    global sq_state
    if "n" not in sq_state:
        sq_state.update(array=np.zeros((2, 3), dtype="float32"), pose=Pose(0.5, {3, 1}), big=2**200, items=set())
        sq_state.update(n=0, nested={"t": (1, [2, None])}, raw=b"x", z=1 + 2j, lock=threading.Lock())
    sq_state["n"] += 1
    sq_state["big"] += 1
    sq_state["array"] = sq_state["array"] + 1
    sq_state["items"].add(sq_state["n"] % 3)
    kinds = type(sq_state["pose"]).__name__, sorted(sq_state["pose"].seen), sorted(sq_state["items"])
    n, big, array = sq_state["n"], sq_state["big"] - 2**200, sq_state["array"]
    rest = sq_state["nested"]["t"], sq_state["raw"], sq_state["z"], "lock" in sq_state
    return (n, big, float(array.sum()), str(array.dtype), array.shape, kinds, rest)
"""
    world = World(["b", "c"])
    world.start(graph_of("return keep(trigger, TTPeriod=500000)", more=more))
    world.events("- {at: 2200ms, fail: b}")
    world.run(5 * S)
    after = [value for _, value, host in world.table() if host == "c"]
    rest = (1, [2, None]), b"x", 1 + 2j
    # The checkpoint at 2 s holds 4; the instant at 4.0 s can still start at 4.2 s.
    assert after == [(n, n, 6.0 * n, "float32", (2, 3), ("Pose", [1, 3], [0, 1, 2]), (*rest, False)) for n in (5, 6)]
    assert len(world.told("keep-1: sq_state['lock']")) == 1
    assert len(world.told("has no codec")) == 1


def test_a_missing_codec_is_told_once_of_each_graph() -> None:
    """Another graph has SQs of the same names, and so has one that is deployed again."""
    more = "@SQify\ndef keeps(x):\n    global sq_state\n    sq_state['lock'] = open\n    return x\n"
    world = World(["b", "c"])
    first, second = (graph_of("return keeps(count(trigger, TTPeriod=500000))", name, more) for name in ("one", "two"))
    world.start(first)
    world.start(second)
    world.run(3 * S)
    world.manager.stop_graph("one")
    world.start(first)
    world.run(6 * S)
    assert [len(world.told(f"graph {name!r}: keeps-1: sq_state['lock']")) for name in ("one", "two")] == [2, 1]


@pytest.mark.parametrize("drained", [False, True])
@pytest.mark.parametrize("state", ["0", "''", "[]", "False", "None", "np.zeros(2)"])
def test_a_state_that_is_false_goes_on_too(state: str, drained: bool) -> None:
    more = f"""
import numpy as np
@STREAMify
def keep(trigger):
    global sq_state
    before, sq_state = repr(sq_state), {state}
    return before
"""
    world = World(["b", "c"])
    world.start(graph_of("return keep(trigger, TTPeriod=500000)", more=more))
    world.at(2200 * MS, lambda: world.manager.drain("b") if drained else world.events("- {at: 2200ms, fail: b}"))
    world.run(6 * S)
    before, after = ([value for _, value, host in world.table() if host == name] for name in "bc")
    wanted = repr(eval(state, {"np": np}))
    assert before == ["{}", *[wanted] * 3] and after == [wanted] * len(after) and len(after) > 2
    world.check()


def test_several_graphs_and_starts_heal_at_once_and_end() -> None:
    window = """
now = READ_TTCLOCK(trigger)
w = COPY_TTTIME(trigger, VALUES_TO_TTTIME(now, now + 6000000))
return pair(total(count(w, TTPeriod=500000)), same(trigger))
"""
    world = World(["b", "c"])
    for name in ("one", "two"):
        graph = graph_of(window, name)
        world.start(graph, {sq.name: "b" if sq.name in ("count-1", "total-1") else "c" for sq in graph.sqs})
        world.at(300 * MS, lambda graph=graph: world.start_again(graph))
    world.events("- {at: 2700ms, fail: b}")
    world.run()
    world.check()
    for context in (1, 2, 3, 4):
        values = [t.value[0] for t in world.outputs if t.context == context]
        assert values[:5] == [1, 3, 6, 10, 15]
        # Restored with 4 counts (2.0 s or 2.3 s), the instant at 4.5 s still starts at 4.7 s.
        assert values[5:] == [15, 21, 28, 36]


def test_a_failure_while_another_is_not_noticed_yet() -> None:
    world = World(["b", "c", "d"])
    graph = graph_of("return same(total(count(trigger, TTPeriod=250000)))")
    world.start(graph, dict.fromkeys(("count-1", "total-1", "same-1"), "b"))
    world.events("- {at: 3s, fail: b}\n- {at: 4s, fail: c}\n- {at: 4500ms, recover: b}")
    world.run(9 * S)
    world.check()
    # b is noticed when it joins anew, at 4.5 s; its work goes to c, whose failure is not known yet; then on to d.
    assert set(world.hosts().values()) == {"d"}
    assert next(t // MS for t, _, host in world.table() if host == "d") <= 7000


def test_the_new_host_may_fail_too() -> None:
    world = World(["b", "c", "d"])
    world.start(graph_of(COUNT))
    world.events("- {at: 3100ms, fail: b}\n- {at: 6600ms, fail: c}")
    world.run(10 * S)
    table = world.table()
    hosts = [host for _, _, host in table]
    assert hosts == sorted(hosts) and set(hosts) == {"b", "c", "d"}
    # c takes up at 5.1 s from 12; its checkpoint at 6 s: 5.1 (for 5.0), 5.25, 5.5, 5.75, 6.0 make 17.
    assert next(v for _, v, host in table if host == "c") == 13
    assert next(v for _, v, host in table if host == "d") == 18


def test_recovered_before_it_was_noticed_nothing_fires_twice() -> None:
    world = World(["b", "c"])
    world.start(graph_of(COUNT))
    world.events("- {at: 3100ms, fail: b}\n- {at: 3200ms, recover: b}")
    world.run(5 * S)
    world.check()
    assert world.hosts() == {"count-1": "c"}
    assert world.values() == list(range(1, 20))  # the checkpoint at 3 s held 12
    assert len({firing.tick for firing in world.firings}) == len(world.firings)


def test_checkpoints_go_on_after_a_time_in_which_nothing_was_due() -> None:
    more = """
@STREAMify
def read(trigger):
    return 1
@SQify
def total(x):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + x
    return sq_state["n"]
"""
    body = """
with TTConstraint(components=["cam"]):
    r = read(trigger, TTPeriod=100_000)
with TTConstraint(components=["gpu"]):
    return total(r)
"""
    world = World(["b=gpu", "b2=gpu", "c=cam"])
    world.start(graph_of(body, more=more))
    world.at(3_050_000, lambda: world.faults.fail("c"))
    world.at(20 * S, lambda: world.faults.join("c2", ["cam"]))
    world.at(24_050_000, lambda: world.faults.fail("b"))
    world.run(27 * S)
    values = {tick: value for tick, value, _ in world.table()}
    # As with events of a file, a loss is noticed 2 s later, whatever was due last.
    assert world.told("'c' is gone") == [5_050_000] and world.told("'b' is gone") == [26_050_000]
    # The last checkpoint on b was at 24 s, with the sample of that tick; b2 goes on when the loss is noticed.
    assert values[24 * S] == 71
    assert [value for tick, value in values.items() if tick > 25 * S][:3] == [72, 73, 74]


def test_a_call_for_the_end_of_the_last_tick_is_not_left_out() -> None:
    agenda, heard = Agenda(0), []
    ends = Ends(agenda)
    ends.add(5, lambda again: ends.add(5, heard.append, again), "late")
    ends.add(9, heard.append, "later: nothing else is due then")
    agenda.run_while(lambda: 100)
    assert heard == ["late"]
    agenda.now = 20
    agenda.deliver_at(30, heard.append, "due")
    ends.wake()
    agenda.run_while(lambda: 100)
    assert heard == ["late", "later: nothing else is due then", "due"]
