"""Defaults that more than one file uses, each in one place; a derived default is a function of the other.

Root ticks are microseconds. The times of silence are in `hosted/lease.py`, beside the rule that they serve. A default
that only one file uses stands in that file.
"""

from __future__ import annotations

from fractions import Fraction

DEFAULT_RUNTIME_MANAGER_NAME = "runtime-manager"
"""The name of the runtime manager's ensemble, unless it is given another; ensembles look for this one."""

PROTOCOL = 6
"""The version of the messages between manager and ensembles."""

RX_PORT = 5555
"""The port on which a manager listens, unless it is given another."""

WORKERS = 1
"""Bodies run in worker processes, but for harmless ones (1); not all of them there (2), nor where time is kept (0)."""

CHECKPOINT_PERIOD = 1_000_000
"""Root ticks between two checkpoints of every instance."""

EVICTION_BOUND = 30_000_000
"""Root ticks by which a waiting token's end may lie behind the newest start seen at its SQ."""

MAX_GAP = 30_000_000
"""Root ticks between two samples up to which `RESAMPLE` makes up those between them."""

MAX_VALUE = 64_000_000
"""Bytes of the largest value that a body on a device may send, encoded, unless the ensemble is told another bound."""

MAX_FRAME = 256 << 20
"""Bytes of the longest frame between two ensembles; a longer one is dropped unread."""

CLOCK_STEP = 60_000_000
"""Root ticks by which an ensemble that has joined lets an answer of the manager step its clock."""

PATIENCE = 60_000_000
"""Microseconds in which an ensemble has to prepare a graph: some libraries take long to import on a small device."""


def interval_width(period: int | Fraction) -> int:
    """The width of a stream's intervals, unless the program gives one: half its period; both in root ticks."""
    return max(1, period // 2)
