"""Costs as the manager knows them, so that it places SQs anew on the least busy ensemble while a graph runs."""

from __future__ import annotations

import msgspec

from ticktalk.graph.sq import TTSQ
from ticktalk.mapping.deployment_file import DeploymentFile


class Weights(msgspec.Struct, frozen=True):
    """The costs of functions and the means of ensembles, of a deployment file.

    Attributes:
        times: function to the time of a run on the reference (us); left out: none.
        needs: function to the bytes of memory of an instance; left out: none.
        speeds: ensemble to times the reference; left out: 1.
        cores: ensemble to cores; left out: 1.
        memory: ensemble to bytes; left out: enough for anything.
    """

    times: dict[str, int] = {}
    needs: dict[str, int] = {}
    speeds: dict[str, float] = {}
    cores: dict[str, int] = {}
    memory: dict[str, int] = {}

    @staticmethod
    def of(deployment: DeploymentFile) -> Weights:
        """The weights of a deployment file."""
        specs = deployment.ensembles
        return Weights(
            {function: cost.time for function, cost in deployment.costs.items() if cost.time},
            {function: cost.memory for function, cost in deployment.costs.items() if cost.memory},
            {spec.name: float(spec.speed) for spec in specs},
            {spec.name: spec.cores for spec in specs},
            {spec.name: spec.memory for spec in specs if spec.memory is not None},
        )


class Loads:
    """The load of one graph's SQs on each ensemble.

    Args:
        weights: None: nothing costs anything.
        sqs: the placed SQs, with their ensembles.
    """

    def __init__(self, weights: Weights | None, sqs: list[tuple[TTSQ, str]]) -> None:
        self._weights = weights or Weights()
        self._busy: dict[str, float] = {}
        self._taken: dict[str, int] = {}
        for sq, ensemble in sqs:
            self.add([sq], ensemble)

    def with_them(self, sqs: list[TTSQ], ensemble: str) -> float | None:
        """The load of an ensemble with `sqs` in addition; None when they do not fit into its memory."""
        weights = self._weights
        taken = self._taken.get(ensemble, 0) + sum(weights.needs.get(sq.function, 0) for sq in sqs)
        capacity = weights.memory.get(ensemble)
        if capacity is not None and taken > capacity:
            return None
        work = sum(weights.times.get(sq.function, 0) for sq in sqs) / weights.speeds.get(ensemble, 1.0)
        return (self._busy.get(ensemble, 0.0) + work) / weights.cores.get(ensemble, 1)

    def add(self, sqs: list[TTSQ], ensemble: str) -> None:
        """Place `sqs` there."""
        weights = self._weights
        speed = weights.speeds.get(ensemble, 1.0)
        for sq in sqs:
            self._busy[ensemble] = self._busy.get(ensemble, 0.0) + weights.times.get(sq.function, 0) / speed
            self._taken[ensemble] = self._taken.get(ensemble, 0) + weights.needs.get(sq.function, 0)
