"""Some faults strike real processes under load, and what `docs/guarantees.md` promises holds.

`make faults` tries all of them, and pairs of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import ALONE, COUNT, DOCUMENT, FAULTS, PAIR, ROW, SEED, TESTS, pairs, promises, together, tried
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
    assert tried(lab, [fault]).problems == []


def test_each_fault_has_a_row_with_its_promise_and_its_figures() -> None:
    rows = {row[1]: row for row in ROW.findall(DOCUMENT.read_text())}
    for fault in FAULTS:
        target, _, text, promise, evidence = rows[fault.name]
        assert (target, text, promise) == (fault.target, fault.text, promises(fault))
        assert re.search(r"whole after \d+\.\d s; .*none twice", evidence)
    assert set(rows) == {fault.name for fault in FAULTS}


def test_each_pair_has_a_row_with_what_both_of_its_faults_promise_and_its_figures() -> None:
    rows = {row[:2]: row[2:] for row in PAIR.findall(DOCUMENT.read_text())}
    drawn = pairs(COUNT, SEED)
    for one, other in drawn:
        promise, evidence = rows[one.name, other.name]
        assert promise == promises(together(one, other))
        assert re.search(r"whole after \d+\.\d s; .*none twice", evidence)
    assert set(rows) == {(one.name, other.name) for one, other in drawn}
    assert {fault for pair in drawn for fault in pair} == set(FAULTS)
    assert pairs(COUNT, SEED + 1) != drawn == pairs(COUNT, SEED)


def test_each_fault_and_each_pair_was_seen_to_fail() -> None:
    changes = DOCUMENT.read_text().partition("These changes of the code were tried:")[2]
    alone, _, rest = changes.partition("\nThese were")
    assert {fault.name for fault in FAULTS} == {*re.findall(r"`([\w-]+)`", alone)}
    of_pairs = re.findall(r"^\| [^|]+ \| `([\w-]+)`, `([\w-]+)`[^|]* \| [^|]+ \|$", rest, re.MULTILINE)
    assert sorted(of_pairs) == sorted((one.name, other.name) for one, other in pairs(COUNT, SEED))


def test_a_pair_promises_no_more_than_each_of_its_faults() -> None:
    for one, other in pairs(100, 5):
        both, each = together(one, other), (one, other)
        assert one.target != other.target or one.target not in ALONE
        assert both.within == max(fault.within for fault in each)
        assert both.spares <= min(fault.spares for fault in each)
        assert both.counted <= min(fault.counted for fault in each)
        assert both.moves <= max(fault.moves for fault in each)


def test_all_other_tests_of_processes_run_with_keys_too() -> None:
    section = DOCUMENT.read_text().partition("## On its own\n")[2].partition("\n## ")[0]
    named = re.findall(r"`tests/physical/(\w+\.py)::(\w+)`", section)
    # Three of these know no network. The last one runs on hosts of its own.
    others = "test_state_store.py", "test_health.py", "test_link.py", "test_namespaces.py"
    assert {f"{file}::{test}" for file, test in named if file not in others} == {*TESTS}


def test_each_test_that_the_document_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT.read_text())
    assert len(named) >= 6
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).exists(), (path, test)
