"""Some faults strike real processes under load, and what `docs/guarantees.md` promises holds.

`make faults` tries all of them, and pairs of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import DOCUMENT, FAULTS, ROW, promises, strike
from lab import Lab, lacking

ROOT = Path(__file__).parents[2]

QUICK = ["still", "kill-worker"]
"""One of an ensemble, one of a worker; the others take longer."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if why := lacking():
        pytest.skip(why)
    made = Lab()
    yield made
    made.end()


@pytest.mark.parametrize("name", QUICK)
def test_what_is_promised_of_a_fault_holds(lab: Lab, name: str) -> None:
    (fault,) = [fault for fault in FAULTS if fault.name == name]
    found = strike(lab, fault)
    if found.problems:  # the machine may have stood still, too: it is not to do so twice
        found = strike(lab, fault)
    assert found.problems == []


def test_each_fault_has_a_row_with_its_promise_and_its_figures() -> None:
    rows = {row[1]: row for row in ROW.findall(DOCUMENT.read_text())}
    for fault in FAULTS:
        target, _, text, promise, evidence = rows[fault.name]
        assert (target, text, promise) == (fault.target, fault.text, promises(fault))
        assert re.search(r"whole after \d+\.\d s; .*none twice", evidence)
    assert set(rows) == {fault.name for fault in FAULTS}


def test_each_test_that_the_document_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT.read_text())
    assert len(named) >= 6
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).exists(), (path, test)
