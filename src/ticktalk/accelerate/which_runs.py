"""Which SQ runs while generated code runs several: found by its line when somebody asks, so that it costs nothing."""

from __future__ import annotations

import sys

from ticktalk.engine.components import OneOfMany, Running
from ticktalk.engine.execution import GENERATED


class _InRegion(OneOfMany):
    """Stands for whichever SQ of a region runs."""

    name = ensemble = GENERATED

    def find(self) -> Running | None:
        """The SQ whose body was called by the region's code."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != GENERATED:
            frame = frame.f_back  # type: ignore[assignment]
        if frame is None:
            return None
        known = frame.f_locals
        region = known["regions"][known["entry"] & known["mask"]] if "regions" in known else known["region"]
        found: Running = region.at_line(frame.f_code.co_name, frame.f_lineno)
        return found


IN_REGION = _InRegion()
