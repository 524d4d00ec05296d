"""The tokens of a recording as rows, as a log of outputs has them (`output_log`), with the arc of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ticktalk.json_text import as_json
from ticktalk.recording.mcap_file import Recording
from ticktalk.records import Sent
from ticktalk.replacement import title_of
from ticktalk.time import INFINITY, NEG_INFINITY
from ticktalk.values.codec import Encoded, plain

LONGEST = 1 << 16
"""Elements of an array that are written as nested lists."""


def rows_of(recording: Recording) -> Iterator[dict[str, Any]]:
    """A row for each token on each arc: `arc`, and the keys of `read_log`; `arrival` is when it was sent."""
    for batch in recording.batches:
        for record in batch.records:
            if isinstance(record, Sent):
                value, text = _shown(record.value)
                yield {
                    "graph": title_of(batch.graph),
                    "context": batch.context,
                    "sq": record.sq,
                    "ensemble": batch.ensemble,
                    "start": None if record.start == NEG_INFINITY else record.start,
                    "stop": None if record.stop == INFINITY else record.stop,
                    "arrival": record.tick,
                    "arc": record.arc,
                    "value": value,
                    "repr": text,
                }


def _shown(data: bytes) -> tuple[Any, str]:
    """A value as JSON data, and "", or None and its text."""
    if not data:
        return None, "<too long to be recorded>"
    value = plain(Encoded(data))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray) and value.size <= LONGEST and value.dtype.kind in "biuf":
        value = value.tolist()
    exact, shown = as_json(value)
    return (shown, "") if exact else (None, shown)
