"""On a starved machine, where processes stand still for longer than a second, a drain loses nothing all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SEED = "203"
"""A sender stands still for 1.7 s, with a token that it has not sent, when it is asked how far it is."""


def test_a_receiver_is_handed_over_only_when_its_senders_have_said_how_far_they_are() -> None:
    command = [sys.executable, str(Path(__file__).with_name("starved.py")), SEED]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    assert json.loads(done.stdout) == {"seed": 203, "wrong": ""}
