"""Whole systems under faults keep what they promise, whatever a seed does to them (`make explore`)."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

EXPLORE: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name("explore.py")))

SEEDS = 2_000


def test_whatever_a_seed_does_to_a_system_its_invariants_hold() -> None:
    assert EXPLORE["over_cores"](0, SEEDS, os.cpu_count() or 1) == []


def test_what_was_broken_once_is_not_broken_again() -> None:
    process = EXPLORE["child"]("--known")
    told, _ = process.communicate()
    assert (told, process.returncode) == ("", 0)
