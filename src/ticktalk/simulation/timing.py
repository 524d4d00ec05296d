"""Times from a deployment file, in simulation: of bodies on the ensembles, and of tokens on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.mapping.deployment_file import DeploymentFile, EnsembleSpec
from ticktalk.simulation.cores import Cores
from ticktalk.values.codec import Data, encode_value


class Timing:
    """The cores of the ensembles and the links between them.

    Args:
        deployment: speeds, cores, links and costs. An ensemble that it does not name is as fast as the reference and
            has one core. The default link leads between two ensembles without a link of their own.
        agenda: the simulation's.
    """

    def __init__(self, deployment: DeploymentFile, agenda: Agenda) -> None:
        self.deployment = deployment
        self._agenda = agenda
        self._specs = {spec.name: spec for spec in deployment.ensembles}
        self._times = {function: cost.time or 0 for function, cost in deployment.costs.items()}
        self._cores: dict[str, Cores] = {}
        self._latest: dict[tuple[str, str], int] = {}  # by sender and receiver, when the last token arrives
        self._functions: WeakKeyDictionary[PreparedGraph, dict[str, str]] = WeakKeyDictionary()

    def cores_of(self, ensemble: str) -> Cores:
        """The cores of an ensemble."""
        cores = self._cores.get(ensemble)
        if cores is None:
            spec = self._specs.get(ensemble) or EnsembleSpec(ensemble)
            cores = self._cores[ensemble] = Cores(self._agenda, spec.cores, spec.speed, self._times)
        return cores

    def all_arrived(self) -> int:
        """The root tick by which all that was sent has arrived."""
        return max(self._latest.values(), default=self._agenda.now)

    def arrival(self, sender: str, receiver: str, size: Callable[[], int]) -> int:
        """The tick at which a payload sent now arrives: after the link's latency and the transfer of its bytes.

        A later one never overtakes an earlier one. `size` is asked for the bytes only where they matter.
        """
        link = self.deployment.link(sender, receiver)
        length = 0 if link.bandwidth is None else size()
        tick = max(self._agenda.now + link.transfer(length), self._latest.get((sender, receiver), 0))
        self._latest[sender, receiver] = tick
        return tick

    def size(self, prepared: PreparedGraph | None, sq: str, value: Any, data: Data | None) -> int:
        """The bytes of a result of an SQ.

        The deployment file's time for its function counts. `data` is the value encoded, if it has been.
        """
        if prepared is not None:
            functions = self._functions.get(prepared)
            if functions is None:
                functions = self._functions[prepared] = {sq.name: sq.function for sq in prepared.graph.sqs}
            cost = self.deployment.costs.get(functions.get(sq, ""))
            if cost is not None and cost.bytes is not None:
                return cost.bytes
        return len(encode_value(value) if data is None else data)
