"""For pytest: the fixture `simulated`, and a fresh `sq_state` for each test. It is found by its entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ticktalk.testing import Run


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """Run a program in simulated time: `simulated("prog.py", until="2s").assert_values(1, 2)`.

    A path is looked for beside the test first, then in the current folder. All else is as for `ticktalk.testing.run`.
    """
    from ticktalk.testing import run, with_programs

    def beside(path: Any) -> Any:
        near = request.path.parent / path if isinstance(path, (str, Path)) else None
        return near if near is not None and near.exists() else path

    def simulated_run(program: Any, **options: Any) -> Run:
        if isinstance(options.get("events"), list | tuple):
            options["events"] = with_programs(options["events"], beside)
        for name in ("events", "deployment", "mapping"):
            if options.get(name) is not None:
                options[name] = beside(options[name])
        return run(beside(program), **options)

    return simulated_run


@pytest.fixture(autouse=True)
def _own_sq_state() -> Iterator[None]:
    """Empty the `sq_state` of all functions that this test calls outside a graph."""
    import sys

    decorators = sys.modules.get("ticktalk.language.decorators")
    if decorators is not None:
        decorators.forget_states()
    yield
