"""Links with jitter, loss, repetition and reordering: what is drawn is within bounds, seeded, and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

import ticktalk
from programs import HEAD
from ticktalk import TTError
from ticktalk.cli.simulated_run import Simulated

PROGRAM = (
    HEAD
    + """
@GRAPHify
def graph(trigger):
    with TTConstraint(name="a"):
        x = count(trigger, TTPeriod=10_000, TTPhase=0, TTDataIntervalWidth=2)
    with TTConstraint(name="b"):
        return same(x)
"""
)
TOKENS = 1_999


def run(folder: Path, link: str, seed: int = 1, events: str = "") -> Simulated:
    """Send a token each 10 ms for 20 s over a link from a to b; outputs come to the manager without delay."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "deployment.yaml").write_text(
        "ensembles: [{name: a}, {name: b}]\nlinks:\n  - {between: [a, b], " + link + "}\n"
    )
    (folder / "events.yaml").write_text(events)
    return ticktalk.simulate(
        folder / "program.py",
        until="20s",
        deployment=folder / "deployment.yaml",
        events=folder / "events.yaml" if events else None,
        seed=seed,
    )


def delays(done: Simulated) -> list[int]:
    """What each token took from its instant to its arrival at b, in order of arrival."""
    return [token.arrival - (token.start + 1) for token in done.outputs]


def counted(done: Simulated, kind: str) -> int:
    return sum(kinds.get(kind, 0) for kinds in done.counters.values())


def test_jitter_lies_between_nothing_and_its_bound(tmp_path: Path) -> None:
    taken = delays(run(tmp_path, "latency: 2ms, jitter: 5ms"))
    assert 2_000 <= min(taken) < 2_050
    assert 6_950 < max(taken) <= 7_000
    assert len(taken) == TOKENS
    # Uniform: a quarter in each quarter of it, give or take five standard deviations (of 19.4 tokens).
    quarters = [sum(2_000 + 1_250 * n <= delay < 3_250 + 1_250 * n for delay in taken) for n in range(4)]
    assert all(abs(count - TOKENS / 4) < 97 for count in quarters)


def test_normal_jitter_is_mostly_in_the_middle(tmp_path: Path) -> None:
    taken = delays(run(tmp_path, "latency: 2ms, jitter: 6ms, distribution: normal"))
    assert min(taken) >= 2_000
    assert max(taken) <= 8_000
    # Within one standard deviation of 1 ms around 5 ms: 68.3 %, give or take five deviations of 1.04 %.
    assert abs(sum(4_000 <= delay <= 6_000 for delay in taken) / TOKENS - 0.683) < 0.052


def test_a_link_keeps_order_although_each_token_has_its_jitter(tmp_path: Path) -> None:
    done = run(tmp_path, "jitter: 50ms")
    assert done.values == list(range(1, len(done.values) + 1))
    assert len(done.values) >= TOKENS - 5  # the last ones are under way at the end


def test_lost_tokens_are_counted_and_the_others_come(tmp_path: Path) -> None:
    done = run(tmp_path, "latency: 1ms, loss: 10%")
    assert len(done.outputs) + counted(done, "lost") == TOKENS
    assert abs(counted(done, "lost") - 200) < 67  # five standard deviations of 13.4
    assert done.values == sorted(set(done.values))


def test_repeated_tokens_are_dropped_and_counted(tmp_path: Path) -> None:
    done = run(tmp_path, "latency: 1ms, jitter: 1ms, duplicate: 25%")
    assert done.values == list(range(1, TOKENS + 1))
    assert abs(counted(done, "replayed") - 500) < 97


def test_reordered_tokens_go_past_those_under_way(tmp_path: Path) -> None:
    done = run(tmp_path, "latency: 25ms, reorder: 10%")
    # Two tokens are under way when one is sent: one that goes past them comes before both.
    back = [number for number, value in enumerate(done.values[1:]) if value < done.values[number]]
    assert abs(len(back) - 200) < 67
    assert set(delays(done)) == {0, 25_000}
    assert sorted(done.values) == list(range(1, max(done.values) + 1))[: len(done.values)]


def test_a_seed_settles_all_of_it(tmp_path: Path) -> None:
    link = "latency: 1ms, jitter: 4ms, loss: 5%, duplicate: 5%, reorder: 5%"
    one, same, other = run(tmp_path, link), run(tmp_path, link), run(tmp_path, link, seed=2)
    assert one.rows() == same.rows()
    assert one.counters == same.counters
    assert one.rows() != other.rows()


def test_more_loss_loses_the_same_tokens_and_more(tmp_path: Path) -> None:
    """Draws by chance are comparable: a search over bounds needs that."""
    little, much = run(tmp_path, "loss: 2%, jitter: 1ms"), run(tmp_path, "loss: 5%, jitter: 1ms")
    assert set(much.values) < set(little.values)
    came = dict(zip(little.values, delays(little), strict=True))
    assert all(came[value] == delay for value, delay in zip(much.values, delays(much), strict=True))


def test_a_link_that_changes_has_its_new_latency_from_then_on(tmp_path: Path) -> None:
    events = "- {at: 5s, link: {between: [b, a], latency: 30ms}}\n- {at: 10s, link: {between: [a, b], latency: 1ms}}"
    done = run(tmp_path, "latency: 2ms", events=events)
    # 499 instants before 5 s, 500 up to 10 s. Those of 10 s and 10.01 s arrive behind that of 9.99 s, at 10.02 s.
    assert delays(done) == [2_000] * 499 + [30_000] * 500 + [20_000, 10_000] + [1_000] * 998
    assert done.values == list(range(1, TOKENS + 1))


def test_bandwidth_and_jitter_add_up(tmp_path: Path) -> None:
    """A token of 1 kB takes 8 ms at 1 Mbit/s; with one each 10 ms none waits."""
    (tmp_path / "program.py").write_text(PROGRAM)
    text = "ensembles: [{name: a}, {name: b}]\nlinks: [{between: [a, b], bandwidth: 1Mbit/s, jitter: 1ms}]\n"
    (tmp_path / "deployment.yaml").write_text(text + "costs: {count: {bytes: 1kB}}\n")
    done = ticktalk.simulate(tmp_path / "program.py", until="5s", deployment=tmp_path / "deployment.yaml")
    assert 8_000 <= min(delays(done)) < 8_050
    assert 8_950 < max(delays(done)) <= 9_000


def test_wrong_links_are_told(tmp_path: Path) -> None:
    with pytest.raises(TTError, match=r"deployment.yaml:3: error: `loss: 120%`: a share of the tokens is a percentage"):
        run(tmp_path, "loss: 120%")
    with pytest.raises(TTError, match=r"`distribution: pareto`: jitter is spread in one of these ways: uniform, norm"):
        run(tmp_path, "jitter: 1ms, distribution: pareto")
    with pytest.raises(TTError, match=r"a link has no key 'lost'; did you mean `loss`"):
        run(tmp_path, "lost: 1%")
    with pytest.raises(TTError, match=r"events.yaml:1: error: there is no ensemble 'c' then"):
        run(tmp_path, "latency: 1ms", events="- {at: 1s, link: {between: [a, c], latency: 2ms}}")
    with pytest.raises(TTError, match=r"events.yaml:1: error: write `link: {between: \[a, b\], latency: 20ms}`"):
        run(tmp_path, "latency: 1ms", events="- {at: 1s, link: {between: [a, b]}}")
