"""The model of leases, moves and generations (`docs/model/`) holds, and needs each of its rules."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

MODELS = Path(__file__).parents[2] / "docs" / "model"
MODEL: dict[str, Any] = runpy.run_path(str(MODELS / "lease.py"))
VOTES: dict[str, Any] = runpy.run_path(str(MODELS / "votes.py"))


def test_the_sq_runs_on_one_ensemble_at_most_and_can_always_run_again() -> None:
    assert MODEL["look"](MODEL["Rules"]()) > 20_000


@pytest.mark.parametrize(
    "rule",
    [
        {"lease": 5},
        {"patience": 0},
        {"from_sending": False},
        {"first": False},
        {"in_order": False},
        {"renews": False},
        {"kept": False},
    ],
    ids=str,
)
def test_without_any_rule_the_model_shows_what_goes_wrong(rule: dict[str, Any]) -> None:
    with pytest.raises(MODEL["Broken"]) as found:
        MODEL["look"](MODEL["Rules"](**rule))
    assert found.value.way


def test_no_vote_counts_for_an_ensemble_and_for_the_manager() -> None:
    assert VOTES["look"]() > 10_000
    assert all(VOTES["share_one"](others) for others in range(1, 8))


@pytest.mark.parametrize("rule", [{"from_question": False}, {"waits": False}, {"known": 1}, {"left": False}], ids=str)
def test_without_any_rule_of_votes_the_model_shows_what_goes_wrong(rule: dict[str, Any]) -> None:
    with pytest.raises(VOTES["Broken"]) as found:
        VOTES["look"](VOTES["Rules"](**rule))
    assert found.value.way
