"""The accelerator of a simulation: plans over a common period run settled SQs (`accelerate/loops.py`)."""

from __future__ import annotations

from ticktalk.accelerate.events import Links
from ticktalk.accelerate.loops import Loops
from ticktalk.engine.acceleration import Accelerated, ContextParts
from ticktalk.engine.agenda import Agenda


class SimulationAccelerator:
    """Runs the contexts of a simulation ahead, all of them together (`Accelerator`)."""

    def __init__(self, agenda: Agenda, links: Links) -> None:
        self.loops = Loops(agenda, links)
        agenda.ahead = self.loops.run

    def form(self, context: ContextParts) -> list[Accelerated]:
        """Look anew for a plan, with this context as it is now; no SQ is taken from the context itself."""
        if context.tap is None or context.tap.repeats:  # else it is told of each token by itself
            self.loops.add(context)
        return []
