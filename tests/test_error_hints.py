"""What lacks is named with the extra that brings it, wherever it is wanted."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from ticktalk.error_hints import EXTRAS, wanted_by
from ticktalk.errors import TTError


def test_every_extra_is_one_that_the_project_has() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    assert {*EXTRAS.values()} <= project["project"]["optional-dependencies"].keys()


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ("lz4", r"--record needs lz4: pip install 'ticktalk\[record\]'$"),
        ("mcap.writer", r"--record needs mcap: pip install 'ticktalk\[record\]'$"),
        ("PIL", "--record needs PIL: install the package that has it$"),
        ("opentelemetry.sdk", r"--record needs opentelemetry: pip install 'ticktalk\[otel\]'$"),
    ],
)
def test_the_module_that_lacks_is_named(lacks: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, lacks, None)
    with pytest.raises(TTError, match=told), wanted_by("--record"):
        import_module(lacks)


def test_a_module_that_is_there_and_broken_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "perfetto.py").write_text("raise ImportError('libx.so is missing', name='perfetto')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "perfetto", raising=False)
    told = r"needs perfetto, which cannot be imported \(libx.so is missing\): pip install"
    with pytest.raises(TTError, match=told), wanted_by("a timeline"):
        import_module("perfetto")


def test_a_defect_of_ours_is_told_as_one() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"), wanted_by("--record"):
        import_module("ticktalk.nowhere")
