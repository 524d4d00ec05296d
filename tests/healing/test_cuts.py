"""Cut links: SQs that may run elsewhere run on one side at any time; the others go on where they are."""

from __future__ import annotations

import pytest
from world import MANAGER, MS, S, World, graph_of

from ticktalk.hosted.lease import Times
from ticktalk.manager.state import EnsembleState, LostEnsemble, ManagerState
from ticktalk.manager.votes import Votes
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import Ping

TWO_KINDS = """
with TTConstraint(name="b"):
    x = count(trigger, TTPeriod=250000)
    y = total(x)
z = count(trigger, TTPeriod=250000)
return y, z
"""


def sides(world: World, sq: str) -> list[tuple[str, int, int]]:
    """The hosts of an SQ's firings, one stretch after the other: ensemble, first and last tick (ms)."""
    found: list[tuple[str, int, int]] = []
    for firing in world.firings:
        if firing.sq == sq:
            if found and found[-1][0] == firing.ensemble:
                found[-1] = (firing.ensemble, found[-1][1], firing.tick // MS)
            else:
                found.append((firing.ensemble, firing.tick // MS, firing.tick // MS))
    return found


def cut(*links: tuple[str, str], at: str) -> str:
    return "".join(f"- {{at: {at}, cut: [{one}, {other}]}}\n" for one, other in links)


def heal(*links: tuple[str, str], at: str) -> str:
    return "".join(f"- {{at: {at}, heal: [{one}, {other}]}}\n" for one, other in links)


@pytest.mark.parametrize("delay", [0, 5 * MS])
@pytest.mark.parametrize("alone", [False, True], ids=["sees c", "sees nobody"])
def test_an_isolated_ensemble_keeps_sqs_that_no_other_can_host(delay: int, alone: bool) -> None:
    links = [("b", MANAGER), *([("b", "c")] if alone else [])]
    world = World(["b", "c"], delay=delay)
    world.start(graph_of(TWO_KINDS), {"count-1": "b", "total-1": "b", "count-2": "b", "TUPLE-1": "c"})
    world.events(cut(*links, at="5100ms") + heal(*links, at="12100ms"))
    world.run(15 * S)
    world.check()
    assert sides(world, "count-1") == [("b", 250, 14750)]
    assert sides(world, "total-1") == [("b", 250, 14750)]
    assert [f.tick for f in world.firings if f.sq == "count-1"] == [250 * MS * n for n in range(1, 60)]
    # It holds the movable SQ at 6.6 s. The SQ begins elsewhere at 7.1 s with the instant at 7.0 s, and stays.
    assert sides(world, "count-2") == [("b", 250, 6500), ("c", 7100, 14750)]
    assert world.hosts() == {"count-1": "b", "total-1": "b", "count-2": "c", "TUPLE-1": "c"}


def test_a_cut_shorter_than_the_noticing_moves_nothing() -> None:
    world = World(["b", "c"])
    world.start(graph_of("return count(trigger, TTPeriod=250000)"))
    world.events(cut(("b", MANAGER), at="5100ms") + heal(("b", MANAGER), at="7s"))
    world.run(9 * S)
    world.check()
    # Held from 6.6 s; at 7 s the instant at 6.75 s is past, that of 7 s is not.
    assert sides(world, "count-1") == [("b", 250, 8750)]
    assert [f.tick // MS for f in world.firings if 6 * S < f.tick < 8 * S] == [6250, 6500, 7000, 7250, 7500, 7750]
    assert world.counted("skipped") == {"count-1": 1}
    assert world.counted("lost") == {"count-1": 6}  # outputs of 5.25 to 6.5 s
    assert not world.told("goes on on")


def test_a_suspended_ensemble_is_no_witness_for_one_cut_off_later() -> None:
    world = World(["b", "c"])
    graph = graph_of("return same(count(trigger, TTPeriod=250000))")
    world.start(graph, {"count-1": "b", "same-1": "b"})
    links = ("b", MANAGER), ("c", MANAGER)
    world.events(cut(links[0], at="5s") + cut(links[1], at="7100ms") + heal(*links, at="15s"))
    world.run(18 * S)
    world.check()
    assert sides(world, "count-1") == [("b", 250, 6250), ("c", 7000, 8500), (MANAGER, 9100, 17750)]


def test_when_the_manager_is_cut_off_from_all_nothing_moves() -> None:
    world = World(["b", "c"])
    world.start(graph_of("return same(count(trigger, TTPeriod=250000))"), {"count-1": "b", "same-1": "c"})
    links = ("b", MANAGER), ("c", MANAGER)
    world.events(cut(*links, at="5s"))
    world.run(12 * S)
    world.check()
    assert sides(world, "count-1") == [("b", 250, 11750)] and sides(world, "same-1") == [("c", 250, 11750)]
    assert world.counted("lost") == {"same-1": 28}  # its outputs from 5 s on have nowhere to go
    assert world.told("the manager may be cut off")


def test_a_cut_between_two_others_loses_their_tokens_and_counts_them() -> None:
    world = World(["b", "c"])
    world.start(graph_of("return same(count(trigger, TTPeriod=250000))"), {"count-1": "b", "same-1": "c"})
    world.events(cut(("b", "c"), at="2100ms") + heal(("c", "b"), at="3100ms"))
    world.run(5 * S)
    assert world.values() == [1, 2, 3, 4, 5, 6, 7, 8, *range(13, 20)]
    assert world.counted("lost") == {"count-1": 4}
    assert world.hosts() == {"count-1": "b", "same-1": "c"} and not world.told("has lost the manager")


def test_sqs_placed_behind_a_short_cut_begin_when_it_heals() -> None:
    world = World(["b", "c", "d"])
    world.start(graph_of("return count(trigger, TTPeriod=250000)"), {"count-1": "b"})
    world.start(graph_of("return ones(trigger, TTPeriod=250000)", "other"), {"ones-1": "c"})  # c has to learn it
    world.events("- {at: 5s, fail: b}\n" + cut(("c", MANAGER), at="6s") + heal(("c", MANAGER), at="7900ms"))
    world.run(10 * S)
    world.check()
    assert world.hosts() == {"count-1": "c"}
    assert sides(world, "count-1") == [("b", 250, 4750), ("c", 7900, 9750)]


def test_a_returning_ensemble_tells_graphs_of_the_same_name_apart() -> None:
    world = World(["b", "c"])
    world.start(graph_of("return count(trigger, TTPeriod=250000)"), {"count-1": "b"})
    world.events(cut(("b", MANAGER), at="5s") + heal(("b", MANAGER), at="12s"))

    def again() -> None:
        world.manager.stop_graph("prog")
        world.start(graph_of("return ones(trigger, TTPeriod=250000)"))

    world.at(10 * S, again)
    world.run(14 * S)
    world.check()
    assert world.hosts() == {"ones-1": "c"}
    assert "prog" not in world.simulation.sites["b"].host.prepared


def test_started_anew_behind_a_cut_it_joins_when_the_cut_heals() -> None:
    world = World(["b", "c"])
    world.start(graph_of("with TTConstraint(name='b'):\n    x = count(trigger, TTPeriod=250000)\nreturn same(x)"))
    events = "- {at: 8s, fail: b}\n- {at: 9s, recover: b}\n"
    world.events(cut(("b", MANAGER), at="5s") + events + heal(("b", MANAGER), at="11s"))
    world.run(13 * S)
    world.check()
    assert world.hosts() == {"count-1": "b", "same-1": "c"}
    assert sides(world, "count-1") == [("b", 250, 12750)]
    # Its checkpoint is of 4 s, or of 5 s had it been heard then: the cut comes first at that tick.
    assert next(v for t, v, _ in world.table() if t >= 11 * S) == 16 + 1


def test_a_witness_that_heard_the_manager_much_later_counts_though_it_is_cut_off_by_then() -> None:
    """As on devices: whether the manager was there for another one is told by when that one heard it last."""
    world = World(["b", "c"])
    world.start(graph_of("return count(trigger, TTPeriod=250000)"), {"count-1": "b"})
    links = ("b", MANAGER), ("c", MANAGER)
    world.events(cut(links[0], at="5s") + cut(links[1], at="6s") + heal(*links, at="9s"))
    world.run(11 * S)
    world.check()
    # The lease of b ends at 6.5 s; c has heard the manager until 6 s, so it was there when b lost it.
    assert world.told("'b' has lost the manager and suspends count-1") == [6500 * MS]
    assert not [firing for firing in world.firings if 6500 * MS <= firing.tick < 8 * S]
    # From 7 s on it surely holds it, and c does so from 7.75 s on: it may go to the manager's own ensemble.
    assert sides(world, "count-1") == [("b", 250, 6250), (MANAGER, 8000, 10750)]


@pytest.mark.parametrize("fails", [False, True], ids=["cut off", "dead"])
def test_sqs_that_no_other_could_host_stay_on_an_ensemble_that_may_only_be_cut_off(fails: bool) -> None:
    world = World(["b=gpu", "c"])
    body = "with TTConstraint(components=['gpu']):\n    x = count(trigger, TTPeriod=250000)\nreturn same(x)"
    world.start(graph_of(body))
    cuts = cut(("b", MANAGER), ("b", "c"), at="3100ms") + heal(("b", MANAGER), ("b", "c"), at="11s")
    world.events(("- {at: 3100ms, fail: b}\n" if fails else cuts) + "- {at: 8100ms, join: 'e=gpu'}\n")
    world.run(14 * S)
    world.check()
    told = world.told("count-1 may still run on 'b', which is not heard: they are not started elsewhere")
    if fails:
        assert sides(world, "count-1") == [("b", 250, 3000), ("e", 8100, 13750)]
        assert told == []
    else:
        assert sides(world, "count-1") == [("b", 250, 13750)]
        assert told == [8100 * MS]
    assert bool(world.told("'b' has ended: SQs that only it could host may go on elsewhere")) is fails
    assert world.hosts()["count-1"] == ("e" if fails else "b")


def test_in_a_system_that_is_divided_no_sq_runs_on_both_sides() -> None:
    """Two ensembles on one side, the manager and the third on the other: half of the others hear the manager."""
    world = World(["b", "c", "d"])
    world.start(graph_of("return same(count(trigger, TTPeriod=250000))"), {"count-1": "b", "same-1": "c"})
    links = ("b", MANAGER), ("c", MANAGER), ("b", "d"), ("c", "d")
    world.events(cut(*links, at="5100ms") + heal(*links, at="9100ms"))
    world.run(12 * S)
    world.check()
    assert sides(world, "count-1") == [("b", 250, 6500), ("d", 7100, 11750)]
    assert sides(world, "same-1")[-1][0] == "d"


def test_where_most_are_cut_off_from_the_manager_nothing_moves() -> None:
    """Three ensembles on one side: more than half of the others of each hear no manager either."""
    world = World(["b", "c", "d", "e"])
    world.start(graph_of("return same(count(trigger, TTPeriod=250000))"), {"count-1": "b", "same-1": "c"})
    sides_of = [(one, other) for one in ("b", "c", "d") for other in (MANAGER, "e")]
    world.events(cut(*sides_of, at="5100ms") + heal(*sides_of, at="12100ms"))
    world.run(15 * S)
    world.check()
    assert sides(world, "count-1") == [("b", 250, 14750)] and sides(world, "same-1") == [("c", 250, 14750)]
    assert world.told("the manager may be cut off")


def test_an_ensemble_that_joins_a_manager_which_is_cut_off_gets_no_sq_that_goes_on_elsewhere() -> None:
    """The others do not know of it: what it hears is no reason for them to hold anything."""
    world = World(["b", "c"])
    world.start(graph_of("return same(count(trigger, TTPeriod=250000))"), {"count-1": "b", "same-1": "c"})
    links = [(one, other) for one in ("b", "c") for other in (MANAGER, "d")]
    events = cut(*links[::2], at="5100ms") + "- {at: 6s, join: d}\n" + cut(*links[1::2], at="6s")
    world.events(events + heal(*links, at="14100ms"))
    world.run(17 * S)
    world.check()
    assert sides(world, "count-1") == [("b", 250, 16750)] and sides(world, "same-1") == [("c", 250, 16750)]


def test_lists_of_others_that_nobody_can_have_are_forgotten() -> None:
    """One ensemble is lost for good, undecided; others come and go meanwhile."""
    state = ManagerState(EnsembleInfo(MANAGER))
    votes = Votes(state, Times)
    for name in ("a", "b", "c"):
        state.ensembles[name] = EnsembleState(EnsembleInfo(name))
        votes.changed()
        votes.joined(name)
    for name in ("a", "b", "c"):
        votes.told(name)
    state.lost["c"] = LostEnsemble(state.ensembles.pop("c").info, heard=0)
    before = votes.present.number
    assert votes.few(0) and not votes.few(1), "of two others; the lost one may go on, so it counts"
    for turn in range(100):
        if turn % 2:
            del state.ensembles["d"]
        else:
            state.ensembles["d"] = EnsembleState(EnsembleInfo("d"))
            votes.joined("d")
        votes.changed()
        for name in state.ensembles:
            votes.ping(Ping(name, turn, voters=votes.present.number), turn, -1)
    assert set(state.voters) == {before, votes.present.number}, "that of the lost one, and the present one"


def test_while_many_join_no_list_is_kept_for_each_of_them() -> None:
    """Nobody was told those in between, so a thousand ensembles take one list, not a thousand."""
    state = ManagerState(EnsembleInfo(MANAGER))
    votes = Votes(state, Times)
    names = [f"e{number:04}" for number in range(1_000)]
    for name in names:
        state.ensembles[name] = EnsembleState(EnsembleInfo(name))
        votes.joined(name)
        votes.changed()
    assert votes.told("e0000").names == names
    assert list(state.voters.values()) == [names]
