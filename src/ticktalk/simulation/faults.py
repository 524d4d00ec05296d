"""Faults of simulated ensembles and links: they fail, recover, join, are cut off, become slow.

`Faults` stands for a device's death or a pulled cable. The rules that heal a real system heal the simulated one too
(`ticktalk.manager.heal`). A failure is noticed after a time, as it is by heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from ticktalk.defaults import CHECKPOINT_PERIOD
from ticktalk.errors import TTError
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.lease import DEAD_AFTER, Times
from ticktalk.language.compiler import compile_program
from ticktalk.manager.events import Cut, Event, Failed, Gone, Healed, Left, NotReplaced, Slowed, Started, Suspended
from ticktalk.replacement import WATCH
from ticktalk.simulation.changes import SimulatedManager, SystemChanges, schedule
from ticktalk.simulation.event_file import CHANGES, FileEvent


class Faults:
    """Make it before graphs are started: they are then run so that their SQs can move.

    Args:
        manager: whose ensembles are meant.
        noticed_after: root ticks until the manager finds that it hears nothing of an ensemble.
        checkpoint: root ticks between checkpoints of every instance; 0: none.
        components: makes the components of ensembles that join or start anew: `(ensemble, names) -> drivers`.
        versions: gives the new version of a graph that is replaced, by what the event calls it.
    """

    def __init__(
        self,
        manager: SimulatedManager,
        noticed_after: int = DEAD_AFTER,
        checkpoint: int = CHECKPOINT_PERIOD,
        components: Callable[[str, Iterable[str]], dict[str, Any]] = lambda name, listed: dict.fromkeys(listed),
        versions: Callable[[str], TTGraph] = compile_program,
    ) -> None:
        self.manager = manager
        self.simulation = manager.simulation
        self._changes = SystemChanges(manager)
        self.noticed_after = noticed_after
        self._components, self._versions = components, versions
        self._lost_since: dict[str, int] = {}  # the ensembles that the manager does not hear of
        self._heard_since: dict[str, int] = {}  # those that it heard again
        self._noticed: set[str] = set()
        self._liveness = manager.process.requests.liveness
        self._liveness.votes.heard_at = self._heard_at
        self._liveness.times = Times(noticed_after)
        self.simulation.make_movable()
        self.simulation.checkpoint = checkpoint
        for name in self.simulation.sites:
            self._watch_over(name)

    def schedule(self, event: FileEvent, start: int) -> None:
        """Let an event happen, `event.at` ticks after the tick `start`, before anything else of its tick."""
        schedule(event, self.simulation, start, self.happen)

    def happen(self, event: FileEvent) -> None:
        """Let an event happen now."""
        if event.kind in CHANGES:
            self._changes.happen(event)
            return
        if event.kind == "replace":
            self.replace(event.program, event.drop_state, event.watch)
            return
        name = event.ensembles[0]
        if event.kind == "fail":
            self.fail(name)
        elif event.kind == "recover":
            self.recover(name)
        elif event.kind == "join":
            self.join(name, event.components)
        elif event.kind == "cut":
            self.cut(*event.ensembles)
        elif event.kind == "heal":
            self.heal(*event.ensembles)
        else:
            self.slow(name, event.factor)

    def fail(self, name: str) -> None:
        """The process of an ensemble dies, with all that is in it."""
        self._tell(Failed(name))
        self.simulation.fail(name)
        self._silent(name)

    def recover(self, name: str) -> None:
        """An ensemble that failed starts anew, and joins with the components it had."""
        self._start(name, self.simulation.sites[name].info.components)

    def join(self, name: str, components: Iterable[str] = ()) -> None:
        """A new ensemble joins."""
        self._start(name, components)

    def cut(self, one: str, other: str) -> None:
        """No message gets through between two ensembles from now on."""
        self._tell(Cut(one, other))
        self.simulation.network.cut(one, other)
        if self.manager.name in (one, other):
            self._silent(other if one == self.manager.name else one)

    def heal(self, one: str, other: str) -> None:
        """Messages get through again."""
        self._tell(Healed(one, other))
        self.simulation.network.heal(one, other)
        name = other if one == self.manager.name else one
        if self.manager.name in (one, other) and self.simulation.sites[name].alive:
            self._heard(name)
        self.simulation.network.send_waiting(one, other)
        self.simulation.settle()

    def slow(self, name: str, factor: Fraction | float) -> None:
        """The bodies of an ensemble take `factor` times as long as they did at first; needs costs to be seen."""
        self._tell(Slowed(name, float(factor)))
        self.simulation.slow(name, Fraction(factor))

    def replace(self, program: str, drop_state: Iterable[str] = (), watch: int = WATCH) -> None:
        """The graph goes on as another version of it; if there are several graphs, the one that is called as it is."""
        graph = self._versions(program)
        titles = self.manager.process.state.titles
        name = titles[0] if len(titles) == 1 else graph.name
        self.simulation.agenda.now = self.simulation.now()
        try:
            self.manager.replace_graph(graph, name=name, drop_state=drop_state, watch=watch)
        except TTError as error:
            self._tell(NotReplaced(name, str(error)))

    # Reactions of the manager and the ensembles.

    def _start(self, name: str, components: Iterable[str]) -> None:
        if name in self._lost_since and name not in self._noticed:
            self._leave(name, Left(name, replaced=True))  # now it is noticed at the latest
        self._lost_since.pop(name, None)
        self._noticed.discard(name)
        self._tell(Started(name))
        self.simulation.remove(name)
        self.manager.start_ensemble(name, self._components(name, components))
        self._heard_since[name] = self.simulation.agenda.now
        self._watch_over(name)
        self._look_later()

    def _silent(self, name: str) -> None:
        """The manager hears nothing of an ensemble from now on, and it nothing of the manager."""
        now = self.simulation.agenda.now
        if name not in self._lost_since:
            self._lost_since[name] = now
            self.simulation.agenda.deliver_at(now + self.noticed_after, self._notice, name, now)
            if self.simulation.sites[name].alive:
                self._watch_over(name)
                self.simulation.sites[name].lose_manager()
                self.simulation.sites[name].lease.take(self._liveness.votes.told(name))
                self.simulation.sites[name].lease.notice_silence()

    def _notice(self, name: str, since: int) -> None:
        if self._lost_since.get(name) == since:
            self._leave(name, Gone(name, self.noticed_after, exact=True))

    def _leave(self, name: str, event: Event) -> None:
        self._noticed.add(name)
        self.simulation.network.hang_up(name)
        ensembles = self.manager.process.state.ensembles
        if name in ensembles:
            heard = sum(each not in self._lost_since for each in ensembles)
            ensembles[name].heard = self._lost_since.get(name, self.simulation.agenda.now)
            self._liveness.gone(name, event, self._liveness.votes.few(heard))
            self._look_later()
            self.simulation.settle()

    def _look_later(self) -> None:
        """While ensembles may go on that are not heard, see whether others contradict when what is known now counts."""
        now, lost = self.simulation.agenda.now, self.manager.process.state.lost.values()
        if any(each.holds_since is None for each in lost):
            known = {now, *(each.holds_since for each in lost if each.holds_since is not None)}
            for tick in sorted(since + self._liveness.times.vote for since in known):
                if tick > now:
                    self.simulation.agenda.deliver_at(tick, self._look)

    def _look(self) -> None:
        if self._liveness.look():
            self._look_later()
        self.simulation.settle()

    def _heard_at(self, name: str, tick: int) -> int:
        """See `Votes`: each that the manager hears hears it."""
        since, until = self._heard_since.get(name, 0), self._lost_since.get(name, tick)
        return min(tick, until) if since <= min(tick, until) else 0

    def _heard(self, name: str) -> None:
        """The manager and an ensemble hear of each other again."""
        self._lost_since.pop(name, None)
        self._heard_since[name] = self.simulation.agenda.now
        self.simulation.sites[name].hear_manager()
        back = name in self._noticed
        if back:
            self._noticed.discard(name)
            self._liveness.back(name)
            self.simulation.settle()
        self.simulation.sites[name].lease.pong(self.simulation.agenda.now)
        self.simulation.settle()
        self._look_later()

    def _watch_over(self, name: str) -> None:
        """Begin the lease of an ensemble."""
        site = self.simulation.sites[name]
        site.lease.begin(self.noticed_after)
        site.suspended = lambda sqs: self._tell(Suspended(name, sqs)) if sqs else None

    def _tell(self, event: Event) -> None:
        self._changes.tell(event)
