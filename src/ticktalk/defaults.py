"""Defaults that more than one file uses, each in one place; what is derived from another one is a function of it.

Microseconds and root ticks are the same length. Times that follow from how long an ensemble may be silent are in
`hosted/lease.py`, beside the rule that they serve.
"""

from __future__ import annotations

DEFAULT_RUNTIME_MANAGER_NAME = "runtime-manager"
"""The name of the runtime manager's ensemble, unless it is given another; ensembles look for this one."""


def interval_width(period: int) -> int:
    """The width of the intervals of a stream that sets none, from its period; both in root ticks."""
    return max(1, period // 2)
