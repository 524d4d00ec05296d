"""Components of an ensemble (a camera, an actuator), and how a body reaches their drivers."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, Protocol

Components = dict[str, Any]
"""Component name to driver object; None where the ensemble has the component but no driver for it."""


class Running(Protocol):
    """An SQ that runs: its name marks what it prints, and it reaches the components of its ensemble."""

    @property
    def name(self) -> str: ...
    @property
    def ensemble(self) -> str: ...
    @property
    def components(self) -> Components | None: ...


class _Thread(threading.local):
    current: Running | None = None
    late: int | None = None  # ticks from the instant of a firing that is about to begin to now, if it had to wait


running = _Thread()
"""The body that this thread runs; set around every body, or to a `OneOfMany` around bodies that run in one piece."""


class OneOfMany:
    """Stands for several SQs of which one runs; a reader finds the running one when needed."""

    name = ensemble = "?"
    components: Components | None = None

    def find(self) -> Running | None:
        """The SQ whose body runs in this thread; None: none does."""
        raise NotImplementedError


def what_runs() -> Running | None:
    """The body that this thread runs; None: nothing of a program."""
    current = running.current
    return current.find() if isinstance(current, OneOfMany) else current


class Preparing(NamedTuple):
    """A graph whose module-level statements run: their prints are marked with its name."""

    name: str
    ensemble: str
    components: Components | None = None


def component(name: str) -> Any:
    """The driver that the ensemble on which the SQ runs has under `name`.

    A literal name in an SQ's body is a placement constraint by itself: the SQ goes to an ensemble that has it.

    Raises:
        LookupError: called outside an SQ, or the ensemble has no driver of that name.
    """
    current = what_runs()
    if current is None or current.components is None:
        raise LookupError(f"component({name!r}) gives the hosting ensemble's driver, so it works in a running SQ only")
    components = current.components
    if components.get(name) is None:
        have = ", ".join(sorted(key for key, driver in components.items() if driver is not None)) or "none"
        raise LookupError(
            f"ensemble {current.ensemble!r} has no driver for component {name!r} (it has: {have});"
            f" a driver is given where its ensemble starts, by --component or components={{{name!r}: driver}}"
        )
    return components[name]
