"""Tests of what only Linux has, and of what stands in for it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ticktalk.physical import system


@pytest.fixture(params=["linux", "portable"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The means of Linux, then those that stand in for them."""
    if request.param == "portable":
        monkeypatch.setenv("TICKTALK_PORTABLE", "1")
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    system.has_linux.cache_clear()
    system.boot_id.cache_clear()
