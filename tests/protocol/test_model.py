"""The model of leases, moves and generations (`docs/model/`) holds, and needs each of its rules."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

MODEL: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "model" / "lease.py"))


def test_the_sq_runs_on_one_ensemble_at_most_and_can_always_run_again() -> None:
    assert MODEL["look"](MODEL["Rules"]()) > 20_000


@pytest.mark.parametrize(
    "rule",
    [
        {"lease": 5},
        {"patience": 2},
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
