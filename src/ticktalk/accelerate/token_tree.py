"""A tree at run time: a region rooted in a token (`engine.regions`), run by its root's firing.

It owns nothing: counters, starts and tokens are with the syncs and executes of its SQs after each firing, as the
general engine has them. So it may leave any firing to the general engine, and in the middle of one the rest of it
(`leave`), and ends by giving its root the `fire` back that it had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ticktalk.accelerate import stream_region as regions
from ticktalk.accelerate.generated import tree_code, tree_names
from ticktalk.accelerate.regions import RegionNode, RegionPlan
from ticktalk.accelerate.stream_region import ALWAYS, GONE, Part, function_of
from ticktalk.accelerate.which_runs import IN_REGION
from ticktalk.engine.components import Running, running
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.firing import ArrivalSync, TTSQSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.graph.constants import decode_constant
from ticktalk.time import INFINITY, NEG_INFINITY, Tick, TTEmpty

if TYPE_CHECKING:
    from ticktalk.engine.agenda import Agenda


class TreePart(Part):
    """One SQ of a tree: what the generated code calls when more is to be done than to run a body."""

    __slots__ = ("tree",)

    def __init__(
        self, tree: TokenTree, node: RegionNode, sync: TTSQSync, execute: TTSQExecute, forward: TTSQForward
    ) -> None:
        super().__init__(node, sync, execute, forward)
        self.tree = tree

    def edge(self, value: Any, start: Tick, stop: Tick) -> Any:
        """Send a result along all arcs; what each wire gets of it."""
        wires = [GONE] * len(self.node.inner)
        running.current = None
        if value.__class__ is not TTEmpty:  # nor what says so of itself
            try:
                self.send(value, start, stop, wires)
            except BaseException:
                self.partial = wires
                raise
        running.current = IN_REGION
        return self.on(wires)

    def ended(self, error: BaseException, start: Tick, stop: Tick) -> Any:
        """Report a firing that raised; what each wire has got of it nevertheless."""
        wires, self.partial = self.partial or [GONE] * len(self.node.inner), None
        try:
            self.execute.failed(error, start, stop)
        except BaseException as raised:  # who runs it is interrupted: when all is where it belongs
            self.tree.raised = raised
        running.current = IN_REGION
        return self.on(wires)

    def late(self) -> bool:
        """Count a token that starts before the last one that this SQ fired on; it does not fire."""
        self.sync.counters.add(self.node.sq.name, "out_of_order")
        return False

    def takes(self, value: Any, start: Tick, stop: Tick, now: int) -> bool:
        """Take a token at an SQ that has settled values as well; whether it fires."""
        sync = self.sync
        assert isinstance(sync, ArrivalSync)
        if not start < stop:  # overlaps nothing, so it waits
            ((port, _),) = self.node.wires.items()
            sync.inbox.append((port, start, stop, value))
            sync.step(now)
            return False
        sync.number += 1
        if start < sync.newest - sync.eviction_bound:
            sync.settle()
        sync.reach(start)
        if sync.forward:
            if start < sync.last_start:
                return self.late()
            sync.last_start = start
        return True


class TokenTree:
    """A tree of one context.

    Attributes:
        raised: what interrupts who runs it.
    """

    def __init__(
        self,
        plan: RegionPlan,
        syncs: dict[str, TTSQSync],
        executes: dict[str, TTSQExecute],
        forwards: dict[str, TTSQForward],
        agenda: Agenda,
    ) -> None:
        self.plan = plan
        self.agenda = agenda
        self.parts = [
            TreePart(self, node, syncs[node.sq.name], executes[node.sq.name], forwards[node.sq.name])
            for node in plan.nodes
        ]
        self.root = self.parts[0].sync
        self.last = self.parts[-1].sync.key[0]
        self.waits = regions.INSTANTS_BEFORE
        self.ended = False
        self.raised: BaseException | None = None
        self._lines: list[int] = []
        self._general = self.root.fire
        self.root.fire = self._fire_first

    def flush(self) -> None:
        """Nothing to bring: its syncs know everything after each firing."""

    def retire(self) -> None:
        """Leave all further firings to the general engine."""
        self.ended = True
        self.root.fire = self._general

    close = retire

    def _fire_first(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Stands in for the function until there is one."""
        fire = self._general
        if self.waits:
            self.waits -= 1
        else:
            fire = self._bound() or fire
        fire(start, stop, values, now)

    def _bound(self) -> Callable[[Tick, Tick, tuple[Any, ...], int], None] | None:
        """The function, made now and the `fire` of the root; None: settled values are not there yet."""
        names = {**ALWAYS, "region": self, "root": self.root, "general": self._general, "last": self.last}
        names |= {"ready": self.agenda.ready, "running": running, "inside": IN_REGION}
        for index, part in enumerate(self.parts):
            sync, execute = part.sync, part.execute
            if index and isinstance(sync, ArrivalSync):
                for slot, token in sync.sticky.items():
                    if token is None or token[0] != NEG_INFINITY or token[2] != INFINITY:
                        return None
                    names[f"a{index}_{sync.arc_ports[slot]}"] = token[3]
            for port, kind in enumerate(part.node.sq.ports):
                if kind.constant is not None:
                    names[f"a{index}_{port}"] = decode_constant(kind.constant[0])
            names |= {f"f{index}": execute.body, f"arrange{index}": execute.arrange, f"e{index}": execute}
            names |= {f"s{index}": sync, f"late{index}": part.late, f"takes{index}": part.takes}
            names |= {f"hand{index}": part.hand, f"edge{index}": part.edge, f"ended{index}": part.ended}
        text, self._lines = tree_code(self.plan)
        self.root.fire = function_of(text, names, tree_names(self.plan)[0])
        return self.root.fire

    def at_line(self, function: str, line: int) -> Running:
        """The SQ whose firing is at a line of the generated code."""
        return self.parts[self._lines[line]].execute

    def left(self) -> bool:
        """Whether who was told something has changed who has the next turn."""
        ready = self.agenda.ready
        return self.ended or self.raised is not None or bool(ready and ready[0][0] < self.last)

    def leave(self, index: int, found: dict[str, Any], start: Tick, stop: Tick) -> None:
        """Leave what comes after the SQ at `index` to the general engine; `found`: what the function has."""
        running.current = None
        for part in self.parts[index + 1 :]:
            for port, wire in part.node.wires.items():
                value = found[wire.name] if wire.node <= index else GONE
                if value is not GONE:
                    part.sync.receive(port, start, stop, value)
        raised, self.raised = self.raised, None
        if raised is not None:
            raise raised
