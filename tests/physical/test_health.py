"""Silent ensembles, the lease, and the end of a graph, from reports made by hand."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktalk.engine.hosting import EnsembleHost
from ticktalk.heartbeats import Tell, Voters
from ticktalk.hosted.completion import NOT_STARTED, Completion
from ticktalk.hosted.lease import DEAD_AFTER, Lease, ManagerWatch, Times
from ticktalk.language.compiler import compile_source
from ticktalk.manager.driver import Driver
from ticktalk.manager.events import Gone
from ticktalk.manager.liveness import LOOKS, WATCH_PERIOD
from ticktalk.manager.reports import REPORT_PERIOD, Reports, summed
from ticktalk.manager.requests import Requests
from ticktalk.manager.state import ContextState, EnsembleState, LostEnsemble
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import ExecuteMsg, NetMsg, RuntimeMsg
from ticktalk.payloads import DeployRequest, IdleReport, InstanceState, Ping, ReadyAnswer
from ticktalk.physical.manager_node import ManagerNode
from ticktalk.physical.network.joining import ReachableEnsemble, Welcome

LOST_AFTER = Times().lost_after

GRAPH = compile_source(
    "from ticktalk import SQify, GRAPHify\n@SQify\ndef f(x): return x\n@GRAPHify\ndef g(x): return f(x)\n", "g.py", "g"
)


def report(ensemble: str, round: int, **said: object) -> IdleReport:
    return IdleReport("g", 1, ensemble, round, **said)  # type: ignore[arg-type]


def answers(completion: Completion, now: int = 0, arrived: int = 0, **said: dict[str, object]) -> bool:
    """One round in which each ensemble answers; the result of the last answer."""
    round = completion.ask()
    done = False
    for ensemble in sorted(completion.ensembles):
        done = completion.take(report(ensemble, round, **said.get(ensemble, {})), {"a": arrived}, now)
    return done


class Manager(Driver):
    """The manager's rules at a tick that a test sets.

    `open`: the sessions of ensembles are connected. `looked_for`: the lost ensembles that were looked for.
    """

    def __init__(self, dead_after: int = DEAD_AFTER) -> None:
        self.looked_for: list[str] = []
        self.tick, self.open, self.behind = 0, True, 0
        self.requests = Requests("manager", None, lambda ensemble, kind, payload: None, self)
        self.requests.liveness.times = Times(dead_after)

    def now(self) -> int:
        return self.tick

    def heard_until(self) -> int:
        return self.tick - self.behind

    def connected(self) -> list[str]:
        return list(self.requests.state.ensembles) if self.open else []

    def if_ended(self, ensemble: EnsembleInfo, act: Callable[[str], None]) -> None:
        self.looked_for.append(ensemble.name)

    def join(self, name: str, tick: int) -> None:
        self.tick = tick
        assert self.requests.liveness.join(EnsembleInfo(name, zid=name)) is None

    def gone(self, tick: int) -> list[str]:
        """The ensembles that are not heard of at a tick, when the manager has looked."""
        while self.tick < tick:
            self.tick = min(tick, self.tick + WATCH_PERIOD)
            self.requests.liveness.watch()
        return sorted(self.requests.state.lost)


def test_heartbeats_tell_which_ensemble_is_silent() -> None:
    manager = Manager()
    manager.join("a", 0)
    manager.join("b", 500_000)
    assert manager.gone(DEAD_AFTER) == []
    assert manager.gone(DEAD_AFTER + 1) == ["a"]
    assert manager.gone(DEAD_AFTER + 500_001) == ["a", "b"]
    manager.requests.liveness.ping(Ping("a", 0), manager.tick)
    assert manager.gone(manager.tick + DEAD_AFTER) == ["b"]
    manager.requests.liveness.left("b")
    manager.requests.liveness.left("never there")
    assert manager.gone(10 * DEAD_AFTER) == ["a"]


def test_a_manager_that_was_busy_excuses_the_silence() -> None:
    manager = Manager()
    manager.join("a", 0)
    assert manager.gone(WATCH_PERIOD) == []
    manager.tick += 10 * DEAD_AFTER  # it could hear no ensemble
    manager.requests.liveness.watch()
    assert not manager.requests.state.lost
    assert manager.gone(manager.tick + DEAD_AFTER + WATCH_PERIOD) == ["a"]


def test_only_time_in_which_the_manager_ran_counts_as_silence() -> None:
    """It looks every 400 ms in place of 200 ms. Each time that this sums up to half a second, it is excused."""
    manager = Manager()
    manager.join("a", 0)
    for _ in range(100):
        manager.tick += 2 * WATCH_PERIOD
        manager.requests.liveness.watch()
        if manager.requests.state.lost:
            break
    assert manager.tick == 3_600_000  # 1.2 s were excused by then, at 1.6 s and 2.8 s


@pytest.mark.parametrize(("late", "more"), [(300_000, 300_000), (100 * DEAD_AFTER, DEAD_AFTER)])
def test_an_ensemble_whose_host_is_starved_is_given_more_time(late: int, more: int) -> None:
    manager = Manager()
    for name in ("a", "b"):
        manager.join(name, 0)
    manager.requests.liveness.ping(Ping("a", 0, late=late), 0)
    assert manager.gone(DEAD_AFTER + more) == ["b"]
    assert manager.gone(DEAD_AFTER + more + 1) == ["a", "b"]
    manager.requests.liveness.ping(Ping("a", 0), manager.tick)  # it is heard again, and no longer starved
    assert manager.gone(manager.tick + DEAD_AFTER + 1) == ["a", "b"]


@pytest.mark.parametrize("direct", [True, False], ids=["no longer relayed", "relayed"])
def test_an_ensemble_that_changes_to_a_relayed_session_or_back_goes_on_preparing(direct: bool) -> None:
    """Two that join at once may not reach each other: then one joins once more, through the manager, until it can."""
    manager, sent = Manager(), []
    told: list[str] = []
    manager.requests = Requests("manager", None, lambda ensemble, kind, payload: sent.append((ensemble, kind)), manager)
    manager.requests.watchers.append(lambda event: told.append(str(event)))
    handlers, liveness = manager.requests.handlers, manager.requests.liveness
    liveness.introduce(EnsembleInfo("manager"))
    started = EnsembleInfo("a", zid="1", started=7, boot_id="b", direct=not direct)
    assert liveness.join(started) is None
    reply: Future[object] = Future()
    handlers[RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH](DeployRequest(GRAPH, "g", {"f-1": "a"}, reply=reply))
    assert liveness.join(msgspec.structs.replace(started, zid="2", direct=direct)) is None
    assert sent.count(("a", ExecuteMsg.INSTANTIATE)) == 2 and not reply.done()
    assert not any("gone" in line for line in told)
    handlers[RuntimeMsg.READY](ReadyAnswer("g", "a"))
    assert reply.result(0)


def test_an_ensemble_that_is_back_in_between_has_all_its_time_again_to_prepare_a_graph() -> None:
    manager = Manager()
    later: list[tuple[int, Callable[[], None]]] = []
    manager.after = lambda ticks, act: later.append((manager.tick + ticks, act))  # type: ignore[method-assign]
    manager.join("a", 0)
    deployed: Future[Any] = Future()
    request = DeployRequest(GRAPH, "g", {"f-1": "a"}, reply=deployed)
    manager.requests.handlers[RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH](request)
    manager.gone(DEAD_AFTER + 1)
    manager.requests.liveness.ping(Ping("a", 0), manager.tick)
    assert not manager.requests.state.lost
    manager.gone(2 * DEAD_AFTER + 2)
    (_, first), (tick, second) = later
    first()
    assert not deployed.done() and tick == manager.tick + Times().given_up_after
    second()
    assert "it has gone" in str(deployed.exception(timeout=0))


def test_a_manager_that_is_behind_judges_no_silence_that_it_has_not_heard_out() -> None:
    manager = Manager()
    manager.join("a", 0)
    manager.behind = 5 * DEAD_AFTER  # heartbeats wait that came since then
    assert manager.gone(4 * DEAD_AFTER) == []
    manager.requests.liveness.ping(Ping("a", 0), DEAD_AFTER)
    assert manager.gone(7 * DEAD_AFTER) == []
    assert manager.gone(7 * DEAD_AFTER + 1) == ["a"]


def test_a_heartbeat_that_waited_for_long_brings_no_ensemble_back() -> None:
    """It would be gone again at once, and everybody would be told twice of each."""
    manager = Manager()
    manager.join("a", 0)
    assert manager.gone(2 * DEAD_AFTER) == ["a"]
    manager.requests.liveness.ping(Ping("a", 0), DEAD_AFTER - 1)
    assert sorted(manager.requests.state.lost) == ["a"]
    manager.requests.liveness.ping(Ping("a", 0), DEAD_AFTER)
    assert not manager.requests.state.lost


def test_two_equal_idle_rounds_end_a_context() -> None:
    completion = Completion(["a", "b"])
    assert not answers(completion)
    assert answers(completion)
    assert completion.done and completion.lost == 0


def test_a_single_round_is_never_enough() -> None:
    """A token may be under way while all are asked."""
    completion = Completion(["a"])
    for count in range(5):
        assert not answers(completion, a={"received": {"x/0": count}})
    assert answers(completion, a={"received": {"x/0": 4}})


def test_a_busy_ensemble_keeps_a_context_open() -> None:
    completion = Completion(["a", "b"])
    for _ in range(3):
        assert not answers(completion, b={"busy": "src-1 is pending"})
    assert completion.latest["b"].busy == "src-1 is pending"
    assert not answers(completion)
    assert not answers(completion, a={"busy": "f-1 runs"})
    assert not answers(completion)  # the rounds before do not count any more
    assert answers(completion)


def test_answers_to_an_older_round_do_not_count() -> None:
    completion = Completion(["a", "b"])
    first = completion.ask()
    completion.take(report("a", first), {}, 0)
    second = completion.ask()
    assert not completion.take(report("b", first), {}, 0)
    assert not completion.take(report("b", second), {}, 0)
    assert not completion.take(report("a", second), {}, 0)
    assert answers(completion)


def test_a_token_under_way_keeps_a_context_open_and_counts_as_lost_in_the_end() -> None:
    completion = Completion(["a", "b"])
    said = {"a": {"sent": {"x/0": {"b": 3}}}, "b": {"received": {"x/0": 2}}}
    assert not answers(completion, 0, **said)
    assert not answers(completion, 1, **said)  # from here on the difference is known
    assert not answers(completion, LOST_AFTER, **said)
    assert answers(completion, LOST_AFTER + 1, **said)
    assert completion.lost == 1


@pytest.mark.parametrize("returns", [True, False])
def test_an_ensemble_that_is_back_without_a_start_that_has_ended_took_nothing_of_it(returns: bool) -> None:
    """A newer start of it says nothing of what the former one took."""
    completion = Completion(["a", "b"])
    said = {"a": {"sent": {"x/0": {"b": 3}}}}
    completion.gone("b")
    answers(completion, 0, **said)
    assert answers(completion, 1, **said)
    assert completion.lost == 0, "it may have taken them"
    if returns:
        completion.back("b")
    round = completion.ask()
    completion.recount(report("b", round, busy=NOT_STARTED), {})
    completion.recount(report("a", round, **said["a"]), {})
    assert completion.lost == (3 if returns else 0)


def test_a_late_token_is_not_lost() -> None:
    completion = Completion(["a", "b"])
    sent = {"sent": {"x/0": {"b": 3}}}
    assert not answers(completion, 0, a=sent, b={"received": {"x/0": 2}})
    assert not answers(completion, 1, a=sent, b={"received": {"x/0": 2}})
    assert not answers(completion, LOST_AFTER + 5, a=sent, b={"received": {"x/0": 3}})
    assert answers(completion, LOST_AFTER + 6, a=sent, b={"received": {"x/0": 3}})
    assert completion.lost == 0


def test_outputs_under_way_to_the_manager_keep_a_context_open() -> None:
    completion = Completion(["a"])
    assert not answers(completion, 0, 4, a={"outputs": 5})
    assert not answers(completion, 1, 4, a={"outputs": 5})
    assert answers(completion, 2, 5, a={"outputs": 5})
    assert completion.lost == 0


def test_each_receiver_of_an_arc_counts_for_itself() -> None:
    completion = Completion(["a", "b", "c"])
    said = {
        "a": {"sent": {"x/0": {"b": 2, "c": 2}}},
        "b": {"received": {"x/0": 2}},
        "c": {"received": {"x/0": 1}},
    }
    answers(completion, 0, **said)
    answers(completion, 1, **said)
    assert answers(completion, 1 + LOST_AFTER, **said)
    assert completion.lost == 1


def test_a_dead_ensemble_is_not_waited_for() -> None:
    completion = Completion(["a", "b"])
    round = completion.ask()
    assert not completion.take(report("a", round, sent={"x/0": {"b": 9}}), {}, 0)
    completion.gone("b")
    completion.gone("never there")
    sent = {"a": {"sent": {"x/0": {"b": 9}}}}
    assert not answers(completion, 0, **sent)
    assert answers(completion, 1, **sent)
    assert completion.lost == 0


def test_a_done_context_stays_done() -> None:
    completion = Completion(["a"])
    answers(completion)
    assert answers(completion)
    assert completion.take(report("a", 99, busy="again"), {}, 0)


def test_counts_are_added_over_the_ensembles() -> None:
    completion = Completion(["a", "b"])
    counts = {"a": {"counts": {"s": {"late": 1}}}, "b": {"counts": {"s": {"late": 2}, "t": {"errors": 1}}}}
    answers(completion, **counts)
    answers(completion, **counts)  # a report replaces the one before
    assert completion.counts() == {"s": {"late": 3}, "t": {"errors": 1}}


def test_the_counts_of_a_lost_ensemble_still_count() -> None:
    completion = Completion(["a", "b"])
    answers(completion, b={"counts": {"f-1": {"errors": 3}}}, a={"counts": {"f-1": {"errors": 1}}})
    completion.gone("b")
    assert completion.counts() == {"f-1": {"errors": 4}}


def test_an_ensemble_s_own_counts_count_once_however_many_contexts_report_them() -> None:
    one = {"edge": {"restarts": 2, "lost": 1}, "f-1": {"errors": 1}}
    other = {"edge": {"restarts": 3}, "f-1": {"errors": 4, "lost": 1}}
    assert summed([one, other], ["f-1"]) == {"edge": {"restarts": 3, "lost": 1}, "f-1": {"errors": 5, "lost": 1}}


def test_outputs_are_counted_by_their_sender() -> None:
    """Tokens that a dead ensemble had sent do not make up for the losses of a living one."""
    completion = Completion(["a"])
    for now in (0, LOST_AFTER // 2, LOST_AFTER, 2 * LOST_AFTER):
        round = completion.ask()
        completion.take(report("a", round, outputs=5), {"a": 4, "dead": 9}, now)
    assert completion.done and completion.lost == 1


def test_tokens_that_have_not_come_when_a_context_is_stopped_are_lost_and_told_by_receiver() -> None:
    """Sender's and receiver's numbers are compared; of an ensemble that is gone, its last ones."""
    completion = Completion(["a", "b", "c"])
    said = {
        "a": {"sent": {"x/0": {"b": 7, "c": 7}, "x/1": {"b": 5}, "y/0": {"c": 2}}, "outputs": 5},
        "b": {"received": {"x/0": 7, "x/1": 3}},
        "c": {"received": {"x/0": 4, "y/0": 2}},
    }
    answers(completion, 0, 4, **said)
    assert not completion.all_came({"a": 4})
    completion.gone("c")
    completion.ask()
    sent = {"x/0": {"b": 9}, "x/1": {"b": 5}, "y/0": {}}
    completion.take(report("a", completion.round, sent=sent, outputs=6), {"a": 4}, 0)
    completion.conclude({"a": 4})
    assert completion.losses == {"": {"a": 2}, "b": {"x": 4}, "c": {"x": 3}}
    assert completion.lost == 9


@given(st.integers(1_000, 10**9))
def test_the_lease_ends_first_whatever_the_dead_after(dead_after: int) -> None:
    """An SQ is placed elsewhere only after its former ensemble holds it: so it never runs twice."""
    times = Times(dead_after)
    assert 2 * times.heartbeat < times.lingers_after < times.lease < times.surely_after < times.dead_after
    assert times.dead_after <= times.lost_after < times.given_up_after
    watch, manager = ManagerWatch(0, dead_after), Manager(dead_after)
    manager.join("a", 0)
    for tick, is_open, gone in (
        (times.lease, False, []),
        (times.surely_after, False, []),
        (dead_after, True, []),
        (dead_after + 1, True, ["a"]),
    ):
        manager.tick, manager.open = tick, is_open
        manager.requests.liveness.watch()
        assert list(manager.requests.state.lost) == gone
    assert watch.holds(times.lease)
    assert watch.lease == times.lease and watch.first_question + 3 * watch.pause < times.lease


def test_the_lease_ends_before_the_manager_acts() -> None:
    """By hand: heartbeats at 0 and 500 ms are answered, then nothing more."""
    watch = ManagerWatch(0)
    assert not watch.pong(0, 3_000) and not watch.pong(500_000, 502_000)
    assert not watch.holds(1_999_999)  # 1.5 s after the heartbeat that was answered last; the manager waits 2 s
    assert watch.holds(2_000_000) and watch.held
    assert not watch.holds(2_100_000)  # told once
    assert not watch.pong(600_000, 5_000_000), "an answer that was under way for long says nothing of now"
    assert watch.held
    assert watch.pong(4_900_000, 5_000_000) and not watch.held


def test_an_answer_of_an_ensemble_that_left_may_still_count_for_a_while() -> None:
    """By hand: an answer counts for half a lease of 1.5 s from its question on; the manager waits as long."""
    manager = Manager()
    for name in ("a", "b"):
        manager.join(name, 0)
    liveness, lost = manager.requests.liveness, manager.requests.state.lost
    liveness.votes.told("a")
    manager.tick = 5_000_000
    liveness.gone("a", Gone("a", 5_000_000))
    liveness.left("b")
    assert not liveness.look() and lost["a"].holds_since is None
    manager.tick = 5_749_999
    assert not liveness.look()
    manager.tick = 5_750_000
    assert liveness.look() and lost["a"].holds_since == 5_750_000


def test_an_answer_counts_from_its_question_on_though_the_clock_was_set_back_meanwhile() -> None:
    """By hand: asked at 843,750, then set back by 500 ms; the answer comes 600 ms later. It counts for 750 ms."""
    now, planned = [0], dict[int, Callable[[], None]]()
    asks: list[Any] = []
    lease = Lease(
        cast(EnsembleHost, SimpleNamespace(name="a", release=lambda: None)),
        lambda ensemble, kind, ask: asks.append(ask),
        lambda: ["b"],
        lambda: None,
        lambda: now[0],
        lambda tick, call: None,
        planned.__setitem__,
        lambda sqs: None,
    )
    lease.begin()
    lease.take(Voters(1, ["a", "b"]))
    lease.notice_silence()
    now[0] = 843_750
    planned[now[0]]()
    now[0] -= 500_000
    lease.stepped(-500_000)
    now[0] += 600_000
    (ask,) = asks
    lease.told(Tell("b", 5_000_000, ask.asked))
    assert lease.watch.until(now[0]) == 343_750 + 750_000


def voting(others: int) -> ManagerWatch:
    """The watch of an ensemble `a` beside so many others."""
    watch = ManagerWatch(0)
    watch.voters = Voters(1, ["a", *(f"e{number}" for number in range(others))])
    return watch


def test_other_ensembles_decide_whether_one_without_the_manager_goes_on() -> None:
    def verdict(others: int, *silences: int) -> bool:
        watch = voting(others)
        for number, silence in enumerate(silences):
            watch.told(f"e{number}", silence, 1_350_000, 1_400_000)
        return not watch.holds(1_500_000)

    assert not verdict(0) and not verdict(1)  # it sees no ensemble
    assert verdict(1, 1_300_000) and verdict(2, 900_000, 1_450_000)  # no ensemble sees it
    assert not verdict(1, 200_000) and not verdict(3, 1_300_000, 1_300_000, 400_000)  # somebody does
    assert not verdict(2, 1_300_000), "one of two may hear the manager where it does not reach this one"
    assert verdict(3, 1_300_000, 1_300_000) and not verdict(4, 1_300_000, 1_300_000)
    assert verdict(5, 1_300_000, 1_300_000, 1_300_000)


def test_an_ensemble_on_no_list_has_no_vote() -> None:
    watch = ManagerWatch(0)
    watch.told("e0", 1_300_000, 1_350_000, 1_400_000)
    assert watch.holds(1_500_000)
    watch = voting(2)
    for name in ("e0", "x", "y"):
        watch.told(name, 1_300_000, 1_350_000, 1_400_000)
    assert watch.holds(1_500_000)


def test_an_answer_counts_from_its_question_and_says_how_it_was_when_it_was_given() -> None:
    """The manager goes; e0's last heartbeat was answered 490 ms after a's. Its earlier answer does not make it see."""
    watch = voting(1)
    watch.told("e0", 1_300_000 - 490_000, 1_200_000, 1_300_000)
    assert not watch.holds(1_500_000) and watch.until(1_500_000) == 1_950_000
    watch.told("e0", 1_200_000, 1_700_000, 1_900_000)
    assert watch.until(1_900_000) == 2_450_000
    assert not watch.holds(2_449_999)
    assert watch.holds(2_450_000), "what was asked so long ago may be different by now"


def test_a_question_comes_late_enough_for_a_true_answer() -> None:
    """An ensemble that sees the manager answers within half a pause of a heartbeat, so no answer misleads."""
    watch = ManagerWatch(0)
    assert not watch.asks(watch.first_question - 1) and watch.asks(watch.first_question)
    for question in range(watch.first_question, watch.lease - watch.pause, watch.pause):
        sees = voting(1)
        silence = watch.pause // 2 + watch.pause  # as late as it may, heard as early
        sees.told("e0", silence, question, question + watch.pause + 1)
        assert sees.holds(watch.lease)
    assert (watch.lease - watch.first_question) // watch.pause >= 3  # so many times before the lease ends


def test_an_ensemble_that_holds_asks_no_other() -> None:
    watch = ManagerWatch(0)
    assert watch.holds(1_500_000) and not watch.asks(1_600_000)
    assert watch.pong(1_600_000, 1_601_000) and watch.asks(3_000_000)


def test_of_many_others_each_is_asked_once_or_twice_before_the_lease_ends() -> None:
    """A few are asked at each question; many in turn, for their answers take the time in which to hear the manager."""
    for count, least, most in ((8, 3, 4), (60, 2, 2)):
        asked: Counter[str] = Counter()
        later: list[tuple[int, Callable[[], None]]] = []
        tick = [0]
        lease = Lease(
            cast(EnsembleHost, SimpleNamespace(name="a", hold=list)),
            lambda name, kind, ask, asked=asked: asked.update([name]),  # type: ignore[misc]
            lambda count=count: [f"e{number}" for number in range(count)],  # type: ignore[misc]
            lambda: None,
            lambda tick=tick: tick[0],  # type: ignore[misc]
            lambda at, call: None,
            lambda at, call, later=later: later.append((at, call)),  # type: ignore[misc]
            lambda held: None,
        )
        lease.take(Voters(1, ["a", *(f"e{number}" for number in range(count))]))
        lease.notice_silence()
        while later and later[0][0] < lease.watch.lease:
            tick[0], call = later.pop(0)
            call()
        assert len(asked) == count and least <= min(asked.values()) and max(asked.values()) <= most


def test_counts_of_an_ensemble_count_once_whether_it_is_lost_or_back() -> None:
    completion = Completion(["a", "b"])
    said = {"a": {"counts": {"x": {"late": 2}}}, "b": {"counts": {"x": {"late": 3}, "b": {"restarts": 1}}}}
    answers(completion, **said)
    assert completion.counts() == {"x": {"late": 5}, "b": {"restarts": 1}}
    completion.gone("b")
    assert completion.counts() == {"x": {"late": 5}, "b": {"restarts": 1}}
    completion.take(report("b", 1, **said["b"]), {}, 0)  # on its way when it was taken for dead
    assert completion.counts() == {"x": {"late": 5}, "b": {"restarts": 1}}
    completion.back("b")
    assert completion.counts() == {"x": {"late": 5}, "b": {"restarts": 1}}
    completion.ensembles.add("b")
    said["b"] = {"counts": {"x": {"late": 4}, "b": {"restarts": 1}}}
    answers(completion, **said)
    assert completion.counts() == {"x": {"late": 6}, "b": {"restarts": 1}}
    completion.gone("b")  # and a new start of it begins to count
    completion.ensembles.add("b")
    said["b"] = {"counts": {"x": {"late": 1}}}
    answers(completion, **said)
    assert completion.counts() == {"x": {"late": 7}, "b": {"restarts": 1}}
    completion.gone("b")
    completion.gone("b")  # a start of it that never said anything
    completion.back("b")
    assert completion.counts() == {"x": {"late": 7}, "b": {"restarts": 1}}


def test_a_graph_ends_though_an_ensemble_has_gone_twice_without_a_report_in_between() -> None:
    completion = Completion(["a", "b"])
    answers(completion, a={"sent": {"s/0": {"b": 10}}}, b={"received": {"s/0": 7}, "counts": {"x": {"late": 2}}})
    completion.gone("b")
    completion.ensembles.add("b")
    completion.gone("b")  # a newer start, which never said anything
    completion.conclude({})
    assert completion.losses == {} and completion.counts() == {"x": {"late": 2}}


def test_of_an_arc_without_a_number_nothing_is_told_lost() -> None:
    """Its receiver took an SQ over after a loss: almost all that was sent on the arc came to the host before."""
    completion = Completion(["a", "b"])
    answers(completion, a={"sent": {"s/0": {"b": 5000}, "t/0": {"b": 5}}}, b={"received": {"t/0": 3}})
    completion.conclude({})
    assert completion.losses == {"b": {"t": 2}}


def test_tokens_on_the_way_to_a_lost_ensemble_count_once_where_their_sq_goes_on() -> None:
    """At its new host, which counts on from what the lost one had taken; unless they come there for another SQ."""
    for came, losses in (({}, {}), ({"s/0": 9}, {"b": {"s": 3}})):
        completion = Completion(["a", "b", "c"])
        sent = {"s/0": {"b": 9, "c": 9}}
        answers(completion, a={"sent": sent}, b={"received": {"s/0": 6}}, c={"received": came})
        completion.gone("b")
        completion.taken_over("b", "c", InstanceState(received={"s/0": 5}))
        completion.conclude({})
        assert completion.losses == losses


def test_tokens_to_an_ensemble_that_never_had_the_context_are_lost_until_it_tells_otherwise() -> None:
    """It was cut off before the start. It may get it later, and what was held up on its way with it."""
    completion = Completion(["a"])
    said = {"a": {"sent": {"x/0": {"b": 13}}}}
    answers(completion, **said)
    answers(completion, **said)
    assert completion.done and completion.losses == {"b": {"x": 13}}
    for busy, received, lost in (
        ("not started", {}, {"b": {"x": 13}}),
        ("", {"x/0": 0}, {"b": {"x": 13}}),
        ("", {"x/0": 13}, {}),
    ):
        number = completion.ask()
        completion.recount(report("b", number - 1, busy="", received={"x/0": 13}), {})
        completion.recount(report("a", number, **said["a"]), {})
        completion.recount(report("b", number, busy=busy, received=received), {})
        assert completion.losses == lost, "an answer to a question from before says nothing of now"


def test_losses_of_a_context_that_goes_on_after_all_are_not_counted() -> None:
    completion = Completion(["a", "b"])
    told = {"a": {"sent": {"s/0": {"b": 5}}}, "b": {"received": {"s/0": 2}}}
    for now in range(0, 20_000_000, 1_000_000):
        if answers(completion, now=now, **told):
            break
    assert completion.done and completion.losses == {"b": {"s": 3}}
    completion.goes_on()
    assert not completion.done and completion.losses == {}


def test_reports_from_before_a_placement_end_no_context() -> None:
    completion = Completion(["a"])
    assert not answers(completion)
    asked = completion.ask()
    completion.begin_again()
    assert not completion.take(report("a", asked), {"a": 0}, 0)
    assert not answers(completion)
    assert answers(completion)


class Asked:
    """The manager's questions about a context with a stream until 20 s, on one ensemble; `at`: their ticks."""

    def __init__(self, until: int | None = 20_000_000) -> None:
        self.manager, self.at = Manager(), list[int]()
        self.context = ContextState(1, 0, {}, until, 0, Completion({"a"}))
        self.graph = SimpleNamespace(
            name="g", contexts={1: self.context}, live=[self.context], hosts={"a"}, told=0, ends=False
        )
        nothing: Any = None
        state: Any = SimpleNamespace(graphs={"g": self.graph})
        self.reports = Reports(state, {}, self._send, nothing, self.manager, nothing, nothing)

    def _send(self, *question: object) -> None:
        self.at.append(self.manager.tick)

    def pass_to(self, tick: int, busy: str = "src-1 is pending", answers: bool = True) -> list[int]:
        """The ticks of the questions until then, each answered in the same way."""
        self.at.clear()
        while self.manager.tick < tick:
            self.manager.tick += REPORT_PERIOD
            self.reports.ask()
            if answers and self.at[-1:] == [self.manager.tick]:
                self.context.completion.take(report("a", self.context.completion.round, busy=busy), {}, self.at[-1])
        return self.at


def test_a_context_that_goes_on_is_asked_the_more_seldom_the_longer_it_does() -> None:
    asked = Asked()
    assert asked.pass_to(1_600_000) == list(range(100_000, 1_700_000, 100_000))
    before = 1_600_000
    for tick in list(asked.pass_to(19_900_000)):
        assert tick - before <= min(500_000, tick // 16 + 100_000)
        before = tick
    assert len(asked.at) < 55, "of 183 questions"
    assert asked.pass_to(20_500_000) == list(range(20_000_000, 20_600_000, 100_000)), "its streams have ended"


def test_a_context_that_may_have_ended_is_asked_at_once() -> None:
    for change in ({}, {"told": 1}, {"hosts": {"a", "b"}}, {"ends": True}):
        asked = Asked(None)
        asked.pass_to(10_000_000)
        vars(asked.graph).update(change)
        assert set(asked.pass_to(10_100_000)) == ({10_100_000} if change else set()), change
    asked = Asked(None)
    asked.pass_to(10_000_000)
    begun = asked.pass_to(10_600_000, busy="")[0]
    assert asked.at == list(range(begun, 10_700_000, 100_000)), "it is idle"
    unanswered = Asked(None)
    unanswered.pass_to(10_000_000)
    begun = unanswered.pass_to(10_600_000, answers=False)[0]
    assert unanswered.at == list(range(begun, 10_700_000, 100_000))


def test_an_ended_context_that_lacks_tokens_is_asked_the_more_seldom_the_longer_it_does() -> None:
    """Most of them have lost these for good, and each question costs every host a report, and the store a write."""
    asked = Asked()
    asked.context.ended, asked.graph.live = True, []
    asked.context.completion.losses = {"a": {"x": 1}}
    assert asked.pass_to(16_000_000) == list(range(1_000_000, 17_000_000, 1_000_000)), "they may still come"
    before = 16_000_000
    for tick in list(asked.pass_to(3_600_000_000, answers=False)):
        assert tick - before <= tick // 16 + 1_000_000
        before = tick
    assert len(asked.at) < 100, "of 3,584 questions"
    asked.context.completion.losses = {}
    assert not asked.pass_to(3_800_000_000) and not asked.reports._recounted, "all have come"


def test_an_ensemble_that_was_drained_while_it_was_cut_off_is_told_again_that_it_may_leave() -> None:
    """It gets no SQs, and is not drained anew: without that it would stay for ever."""
    manager, sent = Manager(), []
    manager.requests = Requests("manager", None, lambda ensemble, kind, payload: sent.append((ensemble, kind)), manager)
    manager.join("a", 0)
    manager.requests.heal.drain("a", lambda problem: None)
    assert sent.count(("a", NetMsg.SHUT_DOWN)) == 1 and manager.requests.state.dismissed == ["a"]
    assert manager.gone(DEAD_AFTER + 1) == ["a"]
    manager.requests.liveness.ping(Ping("a", 0), manager.tick)
    assert sent.count(("a", NetMsg.SHUT_DOWN)) == 2
    manager.requests.liveness.left("a")
    assert not manager.requests.state.dismissed


def test_a_welcome_names_lost_ensembles_that_can_be_reached_without_their_keys() -> None:
    """There may be ten thousand of them, and a joining one only tries to reach them."""
    manager: Any = ManagerNode()
    infos = [
        EnsembleInfo("there", "tcp/h:1", badge=b"keys"),
        EnsembleInfo("lost", "tcp/h:2", zid="2", badge=b"keys"),
        EnsembleInfo("relayed", "tcp/h:3", direct=False),
        EnsembleInfo("no address"),
        EnsembleInfo("asks", "tcp/h:4"),
    ]
    there, *lost = infos
    known = {info.name: LostEnsemble(info, heard=0) for info in lost}
    boss = EnsembleInfo("boss")
    state = SimpleNamespace(manager=boss, ensembles={"there": EnsembleState(there, 0)}, lost=known)
    manager.process = SimpleNamespace(state=state)
    manager.trust = SimpleNamespace(list_content=b"")
    manager.node = SimpleNamespace(name="boss")
    manager.when_written = lambda act: act()
    manager.now = lambda: 0
    said: list[bytes] = []
    question: Any = SimpleNamespace(answer=said.append)
    manager._welcome(lost[-1], question, SimpleNamespace(answer=lambda accepted, content: content), False)
    welcome = msgspec.msgpack.decode(said[0], type=Welcome)
    assert [(each.name, each.badge) for each in welcome.peers] == [("there", b"keys")]
    assert welcome.lost == [ReachableEnsemble("lost", "tcp/h:2", "2", True, b"")]


def test_an_ensemble_whose_host_refuses_connections_has_ended() -> None:
    manager: Any = ManagerNode()
    manager.node = SimpleNamespace(loop=SimpleNamespace(post=lambda act: act()), _drain=lambda: None)
    ended: list[str] = []

    def look(info: EnsembleInfo) -> None:
        before = set(threading.enumerate())
        manager.if_ended(info, ended.append)
        for thread in set(threading.enumerate()) - before:
            thread.join(60)

    with socket.create_server(("127.0.0.1", 0)) as server:
        there = EnsembleInfo("a", f"127.0.0.1:{server.getsockname()[1]}")
        look(there)
        assert not ended, "its process may stand still, but it is there"
    look(msgspec.structs.replace(there, direct=False))
    assert not ended, "one that the manager relays listens nowhere"
    look(there)
    assert ended == [there.address]


@pytest.mark.parametrize("count", [1, LOOKS, LOOKS + 1, 3 * LOOKS + 5])
def test_lost_ensembles_are_looked_for_a_few_at_a_time_and_each_in_its_turn(count: int) -> None:
    manager = Manager()
    names = [f"e{n}" for n in range(count)]
    for name in names:
        manager.requests.state.lost[name] = LostEnsemble(EnsembleInfo(name), keeps={"g": ["act-1"]})
    manager.requests.state.lost["others may have all of it"] = LostEnsemble(EnsembleInfo("x"), holds_since=0)
    rounds = -(-count // LOOKS)
    for _ in range(rounds):
        manager.looked_for.clear()
        manager.gone(manager.tick + max(Times().heartbeat, WATCH_PERIOD))
        assert len(set(manager.looked_for)) == len(manager.looked_for) == min(LOOKS, count)
        names = [name for name in names if name not in manager.looked_for]
    assert names == []
