"""The file of events: every kind, every mistake with its line, the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from world import HEAD, MANAGER, S

from ticktalk.errors import TTError
from ticktalk.replacement import WATCH
from ticktalk.simulation.event_file import events_text, parse_events

THERE = ["a", "b", "long-name"]


def test_a_file_may_have_events_of_every_kind() -> None:
    text = """\
# what befalls them
- at: 5s
  fail: b
- {at: 1min, cut: [a, b]}
- {at: 5500ms, recover: b}
- at: 6s
  join: c=gpu,camera
- {at: 2min, heal: [b, a]}
- {at: 0, slow: {ensemble: a, factor: 1.5}}
- {at: 2s, replace: prog2.py}
- {at: 2s, replace: {program: prog3.py, drop-state: [count-1], watch: 1s}}
- {at: 6s, fail: c}
- {at: 10000h, clock: {ensemble: a, step: -500000h}}
"""
    found = [(e.at, e.kind, e.ensembles, e.components, e.factor) for e in parse_events(text, THERE, MANAGER)]
    one = Fraction(1)
    assert found == [  # as they happen; of one tick, as they stand in the file
        (0, "slow", ("a",), (), Fraction(3, 2)),
        (2 * S, "replace", (), (), one),
        (2 * S, "replace", (), (), one),
        (5 * S, "fail", ("b",), (), one),
        (5_500_000, "recover", ("b",), (), one),
        (6 * S, "join", ("c",), ("gpu", "camera"), one),
        (6 * S, "fail", ("c",), (), one),
        (60 * S, "cut", ("a", "b"), (), one),
        (120 * S, "heal", ("b", "a"), (), one),
        (36_000_000 * S, "clock", ("a",), (), one),
    ]
    versions = [(e.program, e.drop_state, e.watch) for e in parse_events(text, THERE, MANAGER) if e.program]
    assert versions == [("prog2.py", (), WATCH), ("prog3.py", ("count-1",), 1 * S)]
    again = parse_events(events_text(e for e in parse_events(text, THERE, MANAGER) if e.program), THERE, MANAGER)
    assert [(e.program, e.drop_state, e.watch) for e in again] == versions


@pytest.mark.parametrize(
    ("line", "part", "text"),
    [
        (1, "is a list", "at: 5s\nfail: b\n"),
        (1, "is a list", "fail b\n"),
        (1, "mapping", "- fail b\n"),
        (1, "too long: times reach to", "- {at: 900000000h, fail: b}\n"),
        (1, "duration", "- at: 5\n  fail: b\n"),
        (1, "duration", "- at: -1s\n  fail: b\n"),
        (1, "duration", "- at: soon\n  fail: b\n"),
        (1, "whole number", "- at: 5.0000001s\n  fail: b\n"),
        (1, "wants a value", "- at: [5s]\n  fail: b\n"),
        (1, "not when", "- fail: b\n"),
        (1, "not what happens", "- at: 5s\n"),
        (2, "no key 'fials'", "- at: 5s\n  fials: b\n"),
        (3, "no key 'comment'", "- at: 5s\n  fail: b\n  comment: x\n"),
        (3, "is one thing", "- at: 5s\n  fail: a\n  join: d\n"),
        (3, "twice", "- at: 5s\n  fail: b\n  fail: a\n"),
        (2, "wants a value", "- at: 5s\n  fail: [b]\n"),
        (2, "wants a value", "- at: 5s\n  fail:\n"),
        (2, "no ensemble 'bb'", "- at: 5s\n  fail: bb\n"),
        (2, "did you mean", "- at: 5s\n  fail: long-nane\n"),
        (4, "has failed already", "- at: 5s\n  fail: b\n- at: 6s\n  fail: b\n"),
        (2, "has not failed", "- at: 5s\n  recover: b\n"),
        (4, "has not failed", "- at: 9s\n  fail: b\n- at: 5s\n  recover: b\n"),
        (2, "already", "- at: 5s\n  join: b\n"),
        (4, "recover: b", "- at: 5s\n  fail: b\n- at: 6s\n  join: b=gpu\n"),
        (2, "no name", "- at: 5s\n  join: c d\n"),
        (2, "no name", "- at: 5s\n  join: a/b\n"),
        (2, "wants a value", "- at: 5s\n  join: =gpu\n"),
        (2, "a list such as", "- at: 5s\n  cut: a-b\n"),
        (2, "between two", "- at: 5s\n  cut: [a]\n"),
        (2, "between two", "- at: 5s\n  cut: [a, a]\n"),
        (2, "between two", "- at: 5s\n  cut: [a, b, long-name]\n"),
        (2, "no ensemble 'z'", "- at: 5s\n  cut: [a, z]\n"),
        (4, "is cut already", "- at: 5s\n  cut: [a, b]\n- at: 6s\n  cut: [b, a]\n"),
        (2, "is not cut", "- at: 5s\n  heal: [a, b]\n"),
        (2, "slow", "- at: 5s\n  slow: b\n"),
        (2, "slow: {ensemble: b, factor: 3}", "- at: 5s\n  slow: {ensemble: b}\n"),
        (2, "a factor is", "- at: 5s\n  slow: {ensemble: b, factor: -3}\n"),
        (2, "a factor is", "- at: 5s\n  slow: {ensemble: b, factor: 0}\n"),
        (2, "did you mean `factor`", "- at: 5s\n  slow: {ensemble: b, factr: 2}\n"),
        (2, "no ensemble 'bb'", "- at: 5s\n  slow: {ensemble: bb, factor: 2}\n"),
        (2, "replace: prog2.py", "- at: 5s\n  replace: {watch: 1s}\n"),
        (2, "a list such as", "- at: 5s\n  replace: {program: p.py, drop-state: a}\n"),
        (2, "did you mean `watch`", "- at: 5s\n  replace: {program: p.py, wach: 1s}\n"),
        (2, "manager's own", f"- at: 5s\n  fail: {MANAGER}\n"),
        (2, "not YAML", "- at: 5s\n\tfail: b\n"),
        (2, "not YAML", "- at: 5s\n fail: b\n"),
    ],
)
def test_a_mistake_is_named_with_its_line(line: int, part: str, text: str) -> None:
    for before in ("", "# first\n\n"):
        with pytest.raises(TTError) as raised:
            parse_events(before + text, THERE, MANAGER, "ev.yaml")
        first = str(raised.value).splitlines()[0]
        assert first.startswith(f"ev.yaml:{line + before.count(chr(10))}: error: ") and part in first


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(TTError) as raised:
        parse_events("- at: 5\n  fail: b\n- at: 6s\n  cut: [a]\n- fail: a\n", THERE, MANAGER, "ev.yaml")
    assert [line.split(":")[1] for line in str(raised.value).splitlines()] == ["1", "4", "5"]


def test_the_command_prints_the_same_bytes_every_time(tmp_path: Path) -> None:
    program = tmp_path / "prog.py"
    program.write_text(
        HEAD
        + """
@GRAPHify
def main(trigger):
    with TTConstraint(name=["b", "c", "d"]):
        x = [total(count(trigger, TTPeriod=250000 + 1000 * i)) for i in range(6)]
    with TTConstraint(name="b"):
        y = same(x[0])
    with TTConstraint(name="e"):
        z = same(x[1])
    return y, z
"""
    )
    events = tmp_path / "ev.yaml"
    events.write_text(
        "- {at: 2s, fail: b}\n- {at: 3s, cut: [c, runtime-manager]}\n- {at: 6s, recover: b}\n"
        "- {at: 7s, heal: [c, runtime-manager]}\n- {at: 8s, fail: d}\n- {at: 8s, join: f=gpu}\n"
    )
    command = [sys.executable, "-m", "ticktalk.cli.entry", "simulate", str(program), "--until", "12s"]
    command += [option for name in "bcde" for option in ("--ensemble", name)]
    command += ["--events", str(events), "--network-delay", "3ms", "--checkpoint", "500ms"]
    seen = []
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(command, capture_output=True, env=env, timeout=120, check=True)
        seen.append((run.stdout, run.stderr))
    assert seen[0] == seen[1]
    assert b"go on on" in seen[0][1] and len(seen[0][0].splitlines()) > 50
