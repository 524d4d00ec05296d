"""The new ensembles of SQs that have lost theirs: cases made by hand."""

from __future__ import annotations

from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.mapper import TTMapper
from ticktalk.mapping.weights import Weights

PROGRAM = """
from ticktalk import SQify, GRAPHify
@SQify
def heavy(x):
    return x
@SQify
def light(x):
    return x
@GRAPHify
def main(trigger):
    a = heavy(trigger)
    b = heavy(trigger)
    c = heavy(trigger)
    return light(trigger)
"""

SQS = ("heavy-1", "heavy-2", "heavy-3", "light-1")
ENSEMBLES = [EnsembleInfo("a"), EnsembleInfo("b"), EnsembleInfo("c")]


def graph() -> TTGraph:
    return compile_source(PROGRAM, "main.py", "main")


def placed(weights: Weights | None, lost: tuple[str, ...], **rest: str) -> dict[str, str]:
    host_of = {**dict.fromkeys(SQS, ""), **{name.replace("_", "-"): host for name, host in rest.items()}}
    return TTMapper(ENSEMBLES).place(graph(), host_of, lost, weights=weights)


def test_without_costs_the_first_ensemble_that_fits_takes_all() -> None:
    assert placed(None, SQS) == dict.fromkeys(SQS, "a")


def test_with_costs_each_sq_goes_to_the_least_busy_ensemble() -> None:
    # b is twice as fast: it takes the first (10/2 = 5 against 10). Then it ties with a (10 each), which joined first.
    # Then b again (10 against 20 and 10 on c: b joined before c). light costs nothing: c is idle.
    weights = Weights(times={"heavy": 10}, speeds={"b": 2.0})
    assert placed(weights, SQS) == {"heavy-1": "b", "heavy-2": "a", "heavy-3": "b", "light-1": "c"}


def test_sqs_that_stay_count_and_cores_share_the_load() -> None:
    weights = Weights(times={"heavy": 10, "light": 1}, cores={"c": 4})
    # c's four cores make 5 of two heavy ones, (10 + 10) / 4; a has one already.
    assert placed(weights, ("heavy-3",), heavy_1="a", heavy_2="c", light_1="b") == {"heavy-3": "c"}


def test_sqs_only_go_where_memory_is_left() -> None:
    weights = Weights(needs={"heavy": 100}, memory={"a": 150, "b": 99, "c": 100})
    assert placed(weights, SQS) == {"heavy-1": "a", "heavy-2": "c", "light-1": "a"}  # nothing is left for heavy-3
