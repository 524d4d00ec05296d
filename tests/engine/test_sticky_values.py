"""A value that stays at a port comes to each firing as it was sent, whatever an earlier firing has done to it."""

from __future__ import annotations

from typing import Any

import pytest
import simpy

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source

BODIES = """\
from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty, TTFinishByOtherwise, TTToken

@STREAMify
def tick(trigger):
    return 1

@SQify
def gains(trigger):
    return [10]

@SQify
def longer(x, gain):
    gain.append(x)
    return len(gain)

@STREAMify
def longer_each_time(gain):
    gain.append(1)
    return len(gain)

@SQify
def longer_full(x, gain, TTExecuteOnFullToken=True):
    gain.value.append(1)
    return TTToken(len(gain.value), x.time)

@SQify
def late(x):
    return TTEmpty()

@SQify
def instead(gain):
    gain.append(1)
    return len(gain)

@STREAMify
def varied(trigger):
    global COUNT
    COUNT += 1
    return COUNT if COUNT < 40 else [COUNT]

COUNT = 0

@SQify
def same(x):
    return x

@SQify
def kept(x, gain):
    if isinstance(gain, int):
        return 0
    gain.append(x)
    return len(gain)
"""

GRAPHS = {
    "a value of an SQ": "longer(tick(trigger, TTPeriod=1000), gains(trigger))",
    "an input of the graph": "longer(tick(trigger, TTPeriod=1000), given)",
    "an input of a stream": "longer_each_time(given, TTPeriod=1000)",
    "a value of an SQ at a stream": "longer_each_time(gains(trigger), TTPeriod=1000)",
    "a token with its time": "longer_full(tick(trigger, TTPeriod=1000), gains(trigger))",
    "two SQs": "longer(longer(tick(trigger, TTPeriod=1000), gains(trigger)), gains(trigger))",
}


def outputs(text: str, until: int, generated: bool, two: bool) -> list[Any]:
    members = [TTEnsemble(None, "a")] if two else []
    manager = TTRuntimeManagerSim(None, members, simpy.Environment(), network_delay=3 if two else 0)
    if not generated:
        manager.simulation.accelerator = None
    found: list[Any] = []
    manager.process.outputs.listeners.append(lambda token: found.append(token.value))
    graph = compile_source(text, "prog.py", "prog")
    host = {sq.name: "runtime-manager" if sq.trigger == "grid" else "a" for sq in graph.sqs}
    manager.instantiate_and_map_graph(graph, mapping=host if two else None)
    manager.execute_graph(graph, {"given": [10]} if any(each.name == "given" for each in graph.inputs) else {})
    manager.simulation.run(until)
    assert not manager.errors, [str(error) for error in manager.errors]
    return found


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_firing_does_not_see_what_an_earlier_one_changed(name: str, generated: bool, two: bool) -> None:
    given = ", given" if "given" in GRAPHS[name] else ""
    text = f"{BODIES}\n@GRAPHify\ndef main(trigger{given}):\n    return {GRAPHS[name]}\n"
    found = outputs(text, 100_500, generated, two)
    assert set(found) == {2} and len(found) >= 99


@pytest.mark.parametrize("generated", [False, True])
def test_a_value_that_becomes_a_list_is_copied_from_then_on(generated: bool) -> None:
    graph = "kept(tick(trigger, TTPeriod=1000), same(varied(trigger, TTPeriod=10_000, TTDataIntervalWidth=10_000)))"
    text = f"{BODIES}\n@GRAPHify\ndef main(trigger):\n    return {graph}\n"
    found = outputs(text, 600_500, generated, False)
    assert set(found) <= {0, 2} and found.count(2) > 0


@pytest.mark.parametrize("generated", [False, True])
def test_a_plan_b_does_not_see_what_an_earlier_one_changed(generated: bool) -> None:
    text = f"""{BODIES}
@GRAPHify
def main(trigger):
    tag, x = tick(trigger, TTPeriod=1000)
    return TTFinishByOtherwise(late(x), TTTimeDeadline=tag + 300, TTPlanB=instead(gains(trigger)), TTWillContinue=True)
"""
    found = outputs(text, 100_500, generated, False)
    assert set(found) == {2} and len(found) >= 99
