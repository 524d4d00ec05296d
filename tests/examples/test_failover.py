"""The README's example of a device that fails: its stated output, and the correct one."""

from __future__ import annotations

import json
from pathlib import Path

from commands import ticktalk

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SAMPLES = [n % 10 for n in range(1, 17)]  # one every 0.5 s, from 0.5 s on
FAILS, NOTICED = 4_200_000, 6_200_000


def test_the_average_goes_on_elsewhere_from_its_last_checkpoint() -> None:
    options = ["--until", "8500ms", "--events", "failover.yaml", "--jsonl"]
    done = ticktalk("simulate", "failover.py", *options, cwd=EXAMPLES)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    got = [((row["start"] + row["stop"]) // 2, row["ensemble"], row["value"]) for row in rows]
    # Its inputs before the failure were saved at 4 s. The samples of 4.5, 5, 5.5 and 6 s had no receiver.
    taken: list[int] = []
    wanted = []
    for number, value in enumerate(SAMPLES, start=1):
        instant = number * 500_000
        if not FAILS < instant <= NOTICED:
            taken.append(value)
            host = "edge-1" if instant < FAILS else "edge-2"
            wanted.append((instant, host, round(sum(taken) / len(taken), 2)))
    assert got == wanted
    assert "6.2s: graph 'failover': average-1 goes on on 'edge-2'" in done.stderr
    assert "lost: 4 (sample-1 4)" in done.stderr
