"""Measured costs, and how they complete given ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median_low

from ticktalk.mapping.deployment_file import CostSpec


def costs_of(samples: Iterable[tuple[str, list[int], list[int]]]) -> dict[str, CostSpec]:
    """The median time (at least 1 us) and size by function, of `(function, times, sizes)` from any number of hosts."""
    times: dict[str, list[int]] = {}
    sizes: dict[str, list[int]] = {}
    for function, some_times, some_sizes in samples:
        times.setdefault(function, []).extend(some_times)
        sizes.setdefault(function, []).extend(some_sizes)
    return {
        function: CostSpec(max(1, median_low(found)), median_low(sizes[function]) if sizes[function] else None)
        for function, found in times.items()
        if found
    }


def completed(given: Mapping[str, CostSpec], measured: Mapping[str, CostSpec]) -> dict[str, CostSpec]:
    """The measured costs, and the given ones where nothing was measured: of functions that did not run, memory."""
    made = dict(given)
    for function, found in measured.items():
        cost = given.get(function, CostSpec())
        made[function] = CostSpec(
            cost.time if found.time is None else found.time,
            cost.bytes if found.bytes is None else found.bytes,
            cost.memory,
        )
    return made
