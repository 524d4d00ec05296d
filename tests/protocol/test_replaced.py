"""A manager dies at any moment of a replacement: the graph goes on in one version, and no output is lost or twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SEEDS = ["83", "119", "53", "67", "58", "57", "1000", "1002", "1007", "2004", "2040", "2058"]
"""In the stages prepare, hold, hand, try, place, watch, back, back, when no ensemble has heard that it is back. In the
last three the switch is written, and no ensemble has heard of it, or not the one of the stream."""


def test_a_graph_that_is_replaced_by_itself_goes_on_wherever_its_manager_dies() -> None:
    command = [sys.executable, str(Path(__file__).with_name("replaced.py")), *SEEDS]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(SEEDS) and [each for each in found if each["wrong"]] == []
    assert {each["stage"] for each in found} == {"prepare", "hold", "hand", "try", "place", "watch", "back", ""}
