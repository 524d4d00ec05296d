"""`metric()`: a body sets a metric of its SQ, which status, dashboard, `/metrics` and OpenTelemetry show.

State: the metrics that each body of this process has set, for as long as the body lives. The thread that runs a body
writes them. In simulation they are read in place. A worker takes the new ones after each firing, and sends them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from ticktalk.engine.components import what_runs
from ticktalk.engine.execution import TTSQExecute
from ticktalk.errors import TTWarning
from ticktalk.series import BySQ, Series, SeriesKind, set_value

_set: WeakKeyDictionary[TTSQExecute, dict[str, Series]] = WeakKeyDictionary()

ANY_SET: set[str] = set()
"""The SQs of this process that have set any. While there is none, a firing pays no more than a look here."""


def metric(name: str, value: float, kind: SeriesKind = "gauge") -> None:
    """Set a metric of the SQ whose body runs: `metric("temperature", 21.5)`. The program gives the same without it.

    Outside a graph, as in a unit test, it checks its arguments and warns, because nobody sees the value.

    Args:
        name: letters, digits and `_`, a letter first; at most 20 names in an SQ.
        value: a finite number.
        kind: `"gauge"`: the value is the last one. `"counter"`: it is added to a sum that only grows.
            `"histogram"`: it is counted among values of its size.

    Raises:
        ValueError: the name, the value or the kind is none, or there are too many names. TypeError: no number.
        LookupError: it is called at module level.
    """
    current = what_runs()
    if isinstance(current, TTSQExecute):
        series = _set.get(current)
        if series is None:
            series = _set[current] = {}
            ANY_SET.add(current.name)
        set_value(series, name, value, kind)
        return
    set_value({}, name, value, kind)
    if current is not None:
        raise LookupError(f"metric({name!r}, ...) sets a metric of the SQ whose body runs: call it in a body")
    warnings.warn(
        f"metric({name!r}, ...) is called where no SQ's body runs (or in a thread that a body began): nobody sees it",
        TTWarning,
        stacklevel=2,
    )


def taken(execute: TTSQExecute) -> dict[str, Series]:
    """The metrics that a body has set since the last call."""
    series = _set.get(execute, {})
    found = {name: each for name, each in series.items() if each.count}
    for name in found:
        series[name] = Series(found[name].kind)  # its name and its kind stay
    return found


def metrics_of(executes: Mapping[str, TTSQExecute]) -> BySQ:
    """The metrics that the bodies of a context have set, by SQ."""
    return {sq: _set[execute] for sq, execute in executes.items() if execute in _set} if ANY_SET else {}
