"""`ticktalk.testing`: assertions that hold, and what they say when they do not."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from programs import HEAD as WITH_SQS
from ticktalk import simulate
from ticktalk.errors import TTError
from ticktalk.language.decorators import SQify
from ticktalk.testing import run

HEAD = "from ticktalk import *\n"
FUSION = (
    HEAD
    + """
@STREAMify
def camera(trigger):
    return component("camera").look()

@STREAMify
def radar(trigger):
    return 2

@SQify
def fuse(a, b):
    return a + b

@GRAPHify
def fusion(trigger):
    with TTConstraint(name="pole"):
        a = camera(trigger, TTPeriod=ms(100), TTDataIntervalWidth=ms(40))
    b = radar(trigger, TTPeriod=ms(200), TTDataIntervalWidth=ms(40))
    return fuse(a, b)
"""
)


class Camera:
    def __init__(self) -> None:
        self.n = 0

    def look(self) -> int:
        self.n += 1
        return 10 * self.n


@pytest.fixture
def fusion(tmp_path: Path) -> Path:
    path = tmp_path / "fusion.py"
    path.write_text(FUSION)
    return path


def test_values_and_tokens_are_compared(fusion: Path) -> None:
    done = run(fusion, until="700ms", component={"pole.camera": Camera()})
    done.assert_values(22, 42, 62)
    done.assert_values(22, 42, 62, sq="fuse-1")
    done.assert_tokens((22, "180ms", "220ms"), (42, 380_000, 420_000), (62, "580ms", "620ms"))
    done.assert_no_errors()
    with pytest.raises(ValueError, match=r"graph 'fusion' has no SQ 'fuze-1': camera-1, radar-1, fuse-1"):
        done.assert_values(sq="fuze-1")


@pytest.mark.parametrize("start", ["0", "2026-03-01 12:00"])
def test_a_wrong_value_is_told_with_its_time_line_and_sources(fusion: Path, start: str) -> None:
    done = run(
        fusion,
        until="700ms" if start == "0" else "2026-03-01 12:00:00.7",
        start=start,
        component={"pole.camera": Camera()},
    )
    with pytest.raises(AssertionError) as told:
        done.assert_values(22, 43, 62)
    text = str(told.value)
    assert text.startswith("output 2 is 42, wanted 43\ntime line:\n")
    assert text.count("fuse-1: ") == 3 and "====" in text
    assert "a: camera-1 `a` = 40 on [380ms, 420ms)" in text


def test_a_wrong_interval_is_told(fusion: Path) -> None:
    done = run(fusion, until="300ms", component={"pole.camera": Camera()})
    with pytest.raises(AssertionError, match=r"output 1, 22, holds in \[180ms, 220ms\), wanted \[100ms, 200ms\)"):
        done.assert_tokens((22, "100ms", "200ms"))


def test_an_output_that_is_missing_or_too_many_is_told(fusion: Path) -> None:
    done = run(fusion, until="300ms", component={"pole.camera": Camera()})
    with pytest.raises(AssertionError, match="1 outputs, wanted 2; the first that is missing is 5"):
        done.assert_values(22, 5)
    with pytest.raises(AssertionError, match="1 outputs, wanted 0; the first too many is 22"):
        done.assert_values()
    with pytest.raises(AssertionError) as told:
        done.assert_tokens((22, "180ms", "220ms"), (12, "80ms", "120ms"))
    assert "nothing that holds at 80ms came on `b`" in str(told.value)


def test_outputs_of_the_version_that_replaced_the_graph_are_found_by_their_sq(tmp_path: Path) -> None:
    old, new = tmp_path / "old.py", tmp_path / "new.py"
    text = f"{WITH_SQS}@GRAPHify\ndef main(trigger):\n    return same(ones(trigger, TTPeriod=ms(100)))\n"
    old.write_text(text)
    new.write_text(text.replace("return same", "return total"))
    done = run(old, until="2s", events=[{"at": "1s", "replace": {"program": str(new)}}])
    first, then = done.of("same-1"), done.of("total-1")
    assert first and [token.value for token in then] == [*range(1, len(then) + 1)] != []
    assert [*first, *then] == done.outputs


def test_a_time_that_is_none_is_an_error_of_ticktalk(fusion: Path) -> None:
    done = run(fusion, until="300ms", component={"pole.camera": Camera()})
    with pytest.raises(TTError, match="'soon' is no duration: write a number and a unit"):
        done.why("fuse-1", at="soon")
    with pytest.raises(TTError, match="'100' is no duration"):
        done.assert_tokens((12, "100", "140ms"))
    with pytest.raises(TTError, match=r"0\.2 is no time: write ticks, or a text with its unit"):
        done.why("fuse-1", at=0.2)  # type: ignore[arg-type]


def test_a_program_that_never_fires_says_why(tmp_path: Path) -> None:
    (tmp_path / "never.py").write_text(FUSION.replace("TTPeriod=ms(200), ", "TTPeriod=ms(200), TTPhase=ms(50), "))
    done = run(tmp_path / "never.py", until="1s", component={"pole.camera": Camera()})
    with pytest.raises(AssertionError, match="the intervals miss one another by 10ms") as told:
        done.assert_values(22)
    assert "(no output)" in str(told.value)


def test_errors_are_told(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(
        HEAD + "@SQify\ndef f(x): return 1 / 0\n@GRAPHify\ndef main(trigger): return f(trigger)\n"
    )
    done = run(tmp_path / "prog.py")
    with pytest.raises(AssertionError, match=r"1 firings raised:\n  f-1: .*prog.py:3: ZeroDivisionError"):
        done.assert_no_errors()
    with pytest.raises(AssertionError, match="1 firings raised; the first: f-1"):
        done.assert_values(1)


def test_events_and_deployments_may_be_written_in_the_test(fusion: Path) -> None:
    ensembles = [{"name": "pole", "components": ["camera"]}, {"name": "box"}]
    costs = {"ensembles": ensembles, "costs": {"fuse": {"time": "30ms"}}}
    done = run(
        fusion,
        until="1s",
        component={"pole.camera": Camera()},
        deployment=costs,
        events=[{"at": "500ms", "fail": "pole"}],
    )
    assert [token.value for token in done.outputs] == [22, 42]
    assert [token.arrival for token in done.outputs] == [230_000, 430_000]


def test_a_body_runs_apart_from_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apart.py").write_text(
        HEAD + "LIMIT = 1\n@SQify\ndef f(x): return LIMIT\n@GRAPHify\ndef graph(trigger): return f(trigger)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("apart")
    monkeypatch.setattr(module, "LIMIT", 5)
    assert module.f(0) == 5
    run(tmp_path / "apart.py").assert_values(1)  # as on a device, where nobody has changed it


def test_a_recording_is_the_same_or_told(fusion: Path, tmp_path: Path) -> None:
    (tmp_path / "cameras.py").write_text(
        "class Camera:\n    n = 0\n    def look(self):\n        self.n += 1\n        return 10 * self.n\n"
    )
    recording = tmp_path / "run.mcap"
    command = [sys.executable, "-m", "ticktalk", "simulate", "fusion.py", "--until", "700ms"]
    command += ["--component", "pole.camera=cameras:Camera", "--record", str(recording)]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    run(fusion, until="700ms", component={"pole.camera": Camera()}).assert_same_as(recording)
    fusion.write_text(FUSION.replace("a + b", "a + b + (a == 40)"))
    changed = run(fusion, until="700ms", component={"pole.camera": Camera()})
    with pytest.raises(AssertionError, match=r"fuse-1: changed: 42 .*-> 43") as failed:
        changed.assert_same_as(recording)
    shown = str(failed.value)
    assert shown.index("time line:") < shown.index("fuse-1: 43") < shown.index("why:\n  fuse-1 gave 43 on ")
    assert shown.index("camera-1") > shown.index("why:")
    changed.assert_same_as(recording, outputs=["camera-1"])
    with pytest.raises(TTError, match="there is no SQ 'fuse'"):
        changed.assert_same_as(recording, outputs=["fuse"])


@pytest.mark.parametrize(
    ("value", "wanted", "same"),
    [
        ("np.mean([1.0, 2.0])", 1.5, True),
        ("np.mean([1.0, 2.0])", 1.6, False),
        ("np.arange(3)", np.arange(3), True),
        ("np.arange(3)", np.arange(2), False),
        ("np.arange(3)", 1, False),
        ("1", 1, True),
        ("float('nan')", float("nan"), True),
        ("np.float64('nan')", float("nan"), True),
        ("float('nan')", 1.0, False),
        ("1.0", float("nan"), False),
    ],
)
def test_values_of_numpy_are_compared(value: str, wanted: object, same: bool, tmp_path: Path) -> None:
    body = f"@SQify\ndef f(x):\n    import numpy as np\n    return {value}\n"
    (tmp_path / "prog.py").write_text(HEAD + body + "@GRAPHify\ndef main(trigger): return f(trigger)\n")
    done = run(tmp_path / "prog.py")
    if same:
        done.assert_values(wanted)
    else:
        with pytest.raises(AssertionError, match="output 1 is"):
            done.assert_values(wanted)


@SQify
def count(x):  # type: ignore[no-untyped-def]
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + x  # type: ignore[name-defined]
    return sq_state["n"]  # type: ignore[name-defined]


@pytest.mark.parametrize("time", [1, 2])
def test_state_of_a_plain_function_is_not_kept_from_test_to_test(time: int) -> None:
    assert (count(5), count(5)) == (5, 10)


REPLACED = "@STREAMify\ndef s(trigger): return {}\n@GRAPHify\ndef main(trigger): return s(trigger, TTPeriod=ms(100))\n"


@pytest.mark.parametrize("replace", ["new.py", {"program": "new.py", "watch": "0s"}])
def test_a_list_of_events_names_programs_as_the_current_folder_has_them(
    replace: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prog.py").write_text(HEAD + REPLACED.format(1))
    Path("new.py").write_text(HEAD + REPLACED.format(2).replace("ms(100))", "ms(100)) + 0"))
    done = run("prog.py", until="350ms", events=[{"at": "250ms", "replace": replace}])
    done.assert_values(1, 1, 2)
    assert "s-1 gave 1 on [175ms, 225ms)" in done.why("s-1", "200ms")
    assert "ADD-1 gave 2 on [275ms, 325ms)" in done.why("ADD-1", "300ms")


def test_events_that_are_no_list_are_told(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(HEAD + REPLACED.format(1))
    with pytest.raises(TTError, match="events"):
        run(tmp_path / "prog.py", until="350ms", events=5)  # type: ignore[arg-type]


def test_a_time_line_is_the_same_however_a_run_was_made(fusion: Path) -> None:
    options = {"until": "350ms", "component": {"pole.camera": Camera()}}
    plain = simulate(fusion, **options)  # type: ignore[arg-type]
    assert "[180ms, 220ms)  fuse-1: 22" in plain.timeline()
    assert isinstance(run(fusion, **options), type(plain))


def test_the_fixture_looks_beside_the_test(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "prog.py").write_text(HEAD + "@GRAPHify\ndef main(trigger): return trigger + 1\n")
    (tmp_path / "sub" / "new.py").write_text(HEAD + REPLACED.format(2))
    (tmp_path / "sub" / "old.py").write_text(HEAD + REPLACED.format(1))
    (tmp_path / "sub" / "test_prog.py").write_text(
        "def test_it(simulated):\n    simulated('prog.py', input={'trigger': 4}).assert_values(5)\n"
        "    events = [{'at': '150ms', 'replace': 'new.py'}]\n"
        "    simulated('old.py', until='250ms', events=events).assert_values(1, 2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "sub"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"events": [{"at": "2s", "fial": "edge"}]}, "events.yaml:2: error: an event has no key 'fial'"),
        ({"deployment": {"ensembles": {"edge": {}}}}, "deployment.yaml:"),
    ],
)
def test_a_mistake_in_given_text_names_no_folder_that_is_gone(given: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(HEAD + "@GRAPHify\ndef main(trigger): return trigger\n")
    with pytest.raises(TTError) as failed:
        run(tmp_path / "prog.py", **given)
    assert str(failed.value).startswith(told)
