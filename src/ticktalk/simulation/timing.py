"""Times from a deployment file, in simulation: of bodies on the ensembles, and of tokens on their way.

A link may have jitter, lose tokens, bring them twice or out of order. Each direction of a link has random numbers of
its own, and each token uses as many of them. So what happens on one link changes nothing on another one, and with more
jitter or loss the same tokens are concerned, and some more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.manager.driver import Usage
from ticktalk.mapping.deployment_file import DeploymentFile, EnsembleSpec, LinkSpec, Spread
from ticktalk.simulation.clocks import ClockedAgenda
from ticktalk.simulation.cores import ClockedCores, Cores
from ticktalk.simulation.resource_use import Use, UseNotes
from ticktalk.values.codec import Data, encode_value


class Passage(NamedTuple):
    """The way of a token over a link: when it arrives, and whether behind all that were sent before."""

    tick: int
    in_order: bool


class Timing:
    """The cores of the ensembles and the links between them.

    Args:
        deployment: speeds, cores, links and costs. An ensemble that it does not name is as fast as the reference and
            has one core. The default link leads between two ensembles without a link of their own.
        agenda: the simulation's.
        seed: of the random numbers of links.

    Attributes:
        latest: by sender and receiver, when the last token arrives.
        by_chance: ways depend on chance, or links change.
    """

    def __init__(self, deployment: DeploymentFile, agenda: Agenda, seed: int = 0) -> None:
        self.deployment = deployment._replace(links=dict(deployment.links))  # they may change
        self._agenda = agenda
        self._begun = agenda.now
        self._specs = {spec.name: spec for spec in deployment.ensembles}
        self._times = {function: cost.time or 0 for function, cost in deployment.costs.items()}
        self._cores: dict[str, Cores] = {}
        self.latest: dict[tuple[str, str], int] = {}
        self._links: dict[tuple[str, str], Use | UseNotes] = {}  # by sender and receiver, of links with a bandwidth
        self.by_chance = any(link.by_chance for link in (deployment.default, *deployment.links.values()))
        self._seed = seed
        self._chances: dict[tuple[str, str], random.Random] = {}
        self._sent: dict[tuple[str, str], int] = {}  # by sender and receiver: when all that it was given has gone
        self._functions: WeakKeyDictionary[PreparedGraph, dict[str, str]] = WeakKeyDictionary()

    def cores_of(self, ensemble: str, agenda: Agenda | None = None) -> Cores:
        """The cores of an ensemble; `agenda`: its own, when they are made."""
        cores = self._cores.get(ensemble)
        if cores is None:
            spec = self._specs.get(ensemble) or EnsembleSpec(ensemble)
            make = ClockedCores if isinstance(agenda, ClockedAgenda) else Cores
            cores = self._cores[ensemble] = make(agenda or self._agenda, spec.cores, spec.speed, self._times)
        elif agenda is not None:
            cores.begin_anew(agenda)
        return cores

    def change(self, one: str, other: str, link: LinkSpec) -> None:
        """Let a link be another one from now on; what is under way arrives as it would have."""
        self.deployment.links[min(one, other), max(one, other)] = link

    def set_time(self, function: str, time: int) -> None:
        """Let runs of a function that begin from now on take another time on the reference (microseconds)."""
        self._times[function] = time
        for cores in self._cores.values():
            cores.set_time(function, time)

    def loads(self, now: int) -> list[Usage]:
        """The use of cores and links up to the root tick `now`."""
        length = max(1, now - self._begun)
        found = [cores.load(name, length, now) for name, cores in sorted(self._cores.items())]
        for (sender, receiver), use in sorted(self._links.items()):
            behind = max(0, self._free_at(sender, receiver) - now)
            assert isinstance(use, Use)
            since = use.since if behind and use.grows(now) else None
            name = f"{sender} -> {receiver}"
            found.append(Usage("link", name, 1, (use.work - behind) / length, behind, "", since))
        return [load for load in found if load.used]

    def all_arrived(self) -> int:
        """The root tick by which all that was sent has arrived."""
        return max(self.latest.values(), default=self._agenda.now)

    def arrival(self, sender: str, receiver: str, size: Callable[[], int]) -> int:
        """The tick at which a payload sent now arrives: after what was sent before, its own transfer, the latency.

        The bandwidth is a capacity in each direction: a payload's bytes go when those of all earlier ones have gone.
        `size` is asked for the bytes only where they matter.
        """
        link, now, way = self.deployment.link(sender, receiver), self._agenda.now, (sender, receiver)
        begin = max(now, self._free_at(sender, receiver))
        transfer = 0
        if link.bandwidth is not None:
            transfer = link.transfer(size()) - link.latency
            use = self._use_of(way)
            use.queued(now, begin - now)
            use.works(begin, begin + transfer, begin > now)
        tick = self.latest[way] = begin + transfer + link.latency
        return tick

    def ways(self, sender: str, receiver: str, size: Callable[[], int]) -> list[Passage]:
        """The ways of a payload sent now, where chance decides: none, if it is lost; two, if it comes twice."""
        link, way = self.deployment.link(sender, receiver), (sender, receiver)
        chance = self._chances.get(way)
        if chance is None:
            chance = self._chances[way] = random.Random(f"{self._seed} {sender} {receiver}")
        lost, twice, past, late, again = (chance.random() for _ in range(5))
        ways = []
        for drawn in (late, again)[: 1 + (twice < link.duplicate)]:
            sent = self._has_gone(way, link, size)
            if past < link.reorder:
                ways.append(Passage(sent, False))
            else:
                tick = sent + link.latency + _jitter(link, drawn)
                tick = self.latest[way] = max(tick, self.latest.get(way, 0))
                ways.append(Passage(tick, True))
        return [] if lost < link.loss else ways

    def _has_gone(self, way: tuple[str, str], link: LinkSpec, size: Callable[[], int]) -> int:
        """The tick at which a payload's last byte has gone."""
        now = self._agenda.now
        if link.bandwidth is None:
            return now
        begin = max(now, self._sent.get(way, 0))
        sent = self._sent[way] = begin + link.transfer(size()) - link.latency
        use = self._use_of(way)
        use.queued(now, begin - now)
        use.works(begin, sent, begin > now)
        return sent

    def _use_of(self, way: tuple[str, str]) -> Use | UseNotes:
        return self._links.setdefault(way, Use())

    # For a plan over a common period.

    def twin(self, agenda: Agenda) -> TimingTwin:
        """The same links, on which the same is under way; what they are used for is noted."""
        return TimingTwin(self, agenda)

    def sent(self, sender: str, receiver: str, tick: int) -> None:
        """A payload is under way, to arrive at `tick`."""
        self.latest[sender, receiver] = max(tick, self.latest.get((sender, receiver), 0))

    def bytes_of(self, sender: str, receiver: str, prepared: PreparedGraph, sq: str) -> int | None:
        """The bytes of each result of an SQ, where they matter; None: they depend on its value."""
        return 0 if self.deployment.link(sender, receiver).bandwidth is None else self._bytes(prepared, sq)

    def _free_at(self, sender: str, receiver: str) -> int:
        """The tick at which a link has sent all that it was given."""
        if self.by_chance:
            return self._sent.get((sender, receiver), 0)
        return self.latest.get((sender, receiver), 0) - self.deployment.link(sender, receiver).latency

    def size(self, prepared: PreparedGraph | None, sq: str, value: Any, data: Data | None) -> int:
        """The bytes of a result of an SQ.

        The deployment file's time for its function counts. `data` is the value encoded, if it has been.
        """
        length = None if prepared is None else self._bytes(prepared, sq)
        return len(encode_value(value) if data is None else data) if length is None else length

    def _bytes(self, prepared: PreparedGraph, sq: str) -> int | None:
        """The bytes of each result of an SQ, if the deployment file says them."""
        functions = self._functions.get(prepared)
        if functions is None:
            functions = self._functions[prepared] = {sq.name: sq.function for sq in prepared.graph.sqs}
        cost = self.deployment.costs.get(functions.get(sq, ""))
        return None if cost is None else cost.bytes


def _jitter(link: LinkSpec, drawn: float) -> int:
    """Microseconds beyond the latency; `drawn`: from 0 to 1. A normal jitter has three deviations on each side."""
    if link.distribution is Spread.NORMAL and 0 < drawn < 1:
        drawn = min(1.0, max(0.0, _NORMAL.inv_cdf(drawn)))
    return round(link.jitter * drawn)


_NORMAL = NormalDist(0.5, 1 / 6)


class TimingTwin(Timing):
    """A copy of the links of a simulation."""

    def __init__(self, of: Timing, agenda: Agenda) -> None:
        super().__init__(of.deployment, agenda)
        self._of = of
        self.latest = of.latest.copy()

    def _use_of(self, way: tuple[str, str]) -> Use | UseNotes:
        if way not in self._links:
            self._links[way] = UseNotes(self._of._use_of(way))
        return self._links[way]

    @property
    def uses(self) -> list[UseNotes]:
        """The use of the links."""
        return [use for use in self._links.values() if isinstance(use, UseNotes)]
