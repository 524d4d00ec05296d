"""Programs with faults that were found once, each with what it must give: plain Python means what it means in Python.

A case is a folder with `prog.py`, what lies beside it, and `case.json`: `do` is "simulate" or "run", `args` are further
options. `values` are the outputs in any order, `seen` some of them; `stderr` and `lacks` are words on stderr.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_cases import served

from commands import Done

FOUND = Path(__file__).parent / "found"
MEMORY = 2_000_000_000
"""Bytes of address space: one of the faults was to take all there is."""


def in_a_process_of_its_own(folder: Path, arguments: list[str]) -> Done:
    limit = ["prlimit", f"--as={MEMORY}"] if shutil.which("prlimit") and arguments[0] == "simulate" else []
    command = [*limit, sys.executable, "-m", "ticktalk", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("name", sorted(path.name for path in FOUND.iterdir()))
def test_each_program_that_was_found_gives_what_its_case_says(name: str, tmp_path: Path) -> None:
    case = json.loads((FOUND / name / "case.json").read_text())
    shutil.copytree(FOUND / name, tmp_path, dirs_exist_ok=True)
    arguments = case.get("args", [] if case["do"] == "run" else ["--until", "20s"])
    run = in_a_process_of_its_own if case["do"] == "run" or name == "jump_of_stamps" else served
    done = run(tmp_path, [case["do"], "--jsonl", *arguments, "prog.py"])
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    values = [json.loads(row)["value"] for row in done.stdout.splitlines()]
    if "values" in case:
        assert sorted(map(json.dumps, values)) == sorted(map(json.dumps, case["values"])), done.stderr
    for value in case.get("seen", []):
        assert value in values, done.stderr
    for word in case.get("stderr", []):
        assert word in done.stderr
    for word in case.get("lacks", []):
        assert word not in done.stderr
