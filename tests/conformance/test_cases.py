"""Programs with the outputs they must give, each run by `ticktalk simulate --jsonl` in a process of its own.

A case is NAME.py (a program) and NAME.json with "args" and either
  "expect": [[value, start, stop, sq, ensemble?], ...]   the output tokens in order ("unordered": in any order); sq
            without its "-<k>", null: any; a value {"repr": "..."} stands for the "repr" field; or
  "error":  [words that stderr must hold]                exit status 1 or 2, no traceback.
"until" (default 20s) and "stderr" (words that stderr holds beside the outputs) are optional.
"absent": a file that must not appear in the working directory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Done, ticktalk

CASES = Path(__file__).parent / "cases"


def outputs(text: str) -> list[list]:
    rows = []
    for line in text.splitlines():
        token = json.loads(line)
        assert set(token) - {"value", "repr"} == {"graph", "start", "stop", "sq", "ensemble"}
        assert ("value" in token) != ("repr" in token)
        value = token["value"] if "value" in token else {"repr": token["repr"]}
        rows.append([value, token["start"], token["stop"], token["sq"].rsplit("-", 1)[0], token["ensemble"]])
    return rows


def served(folder: Path, arguments: list[str]) -> Done:
    return ticktalk(*arguments, cwd=folder, COLUMNS="500", NO_COLOR="1")


@pytest.mark.parametrize("name", ["arith", "plan_b", "err_undefined", "deadline_missed_over_network"])
def test_the_installed_command(name: str, tmp_path: Path) -> None:
    def run(folder: Path, arguments: list[str]) -> Done:
        command = [sys.executable, "-m", "ticktalk.cli.entry", *arguments]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, cwd=folder)
        return Done(done.returncode, done.stdout, done.stderr)

    check(name, tmp_path, run)


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.json")))
def test_each_case_gives_what_its_file_says(name: str, tmp_path: Path) -> None:
    check(name, tmp_path, served)


def check(name: str, tmp_path: Path, run: Callable[[Path, list[str]], Done]) -> None:
    case = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    until = case.get("until", "20s")
    arguments = ["simulate", "--jsonl", *(["--until", until] if until else []), *case["args"]]
    done = run(tmp_path, [*arguments, str(CASES / f"{name}.py")])
    if "absent" in case:
        assert not (tmp_path / case["absent"]).exists()
    for word in case.get("stderr", []):
        assert word in done.stderr
    if "error" in case:
        assert done.returncode in (1, 2)
        assert "Traceback" not in done.stderr
        for word in case["error"]:
            assert word in done.stderr
        return
    assert done.returncode == 0, done.stderr
    got, want = outputs(done.stdout), case["expect"]
    if case.get("unordered"):
        got.sort(key=lambda row: json.dumps([row[3], row[1]]))
        want.sort(key=lambda row: json.dumps([row[3], row[1]]))
    assert len(got) == len(want), done.stderr
    for have, expected in zip(got, want, strict=True):
        assert json.dumps(have[:3], sort_keys=True) == json.dumps(expected[:3], sort_keys=True)
        assert expected[3] is None or have[3] == expected[3]
        assert len(expected) < 5 or have[4] == expected[4]
