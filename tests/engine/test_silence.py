"""An SQ that never fired is told, with the nearest miss and a change; the change, applied, makes it fire."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import simpy

from ticktalk import TTRuntimeManagerSim, compile_program
from ticktalk.cli.ending import silence, wait_lines
from ticktalk.explain.applied_change import applied
from ticktalk.explain.least_change import advice, changes
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted import silence as silence_module
from ticktalk.hosted.silence import WaitingSince, all_stuck, nearest
from ticktalk.payloads import StopGraph

HEAD = """
from ticktalk import *
@STREAMify
def cam(t):
    return 0
@STREAMify
def lidar(t):
    return 1
@SQify
def fuse(x, y):
    return x
@SQify
def show(x):
    return x
@SQify
def alone(value, interval, missing):
    return value
@SQify
def nothing(x):
    return TTEmpty()
@SQify
def raises(x):
    raise ValueError("no")
@GRAPHify
def main(trigger):
"""


def compiled(folder: Path, body: str) -> TTGraph:
    (folder / "prog.py").write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    return compile_program(str(folder / "prog.py"))


def run(graph: TTGraph, until: int) -> TTRuntimeManagerSim:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(until)
    return manager


def lines(folder: Path, body: str, until: int = 1_000_000) -> list[str]:
    return silence(run(compiled(folder, body), until).status())


PAIR = "x = cam(trigger, TTPeriod=100_000, TTDataIntervalWidth=20_000)\n"
PAIR += "y = lidar(trigger, TTPeriod=100_000, TTPhase=50_000, TTDataIntervalWidth=30_000)\nreturn show(fuse(x, y))"


def test_intervals_that_miss_one_another(tmp_path: Path) -> None:
    # y has [35, 65) at 50 ms, x has [90, 110) at 100. From the middle of y to the begin of x there are 40 ms, from the
    # end of y to the middle of x 35. Twice that, and a tick or two more, reaches there.
    assert lines(tmp_path, PAIR, 260_000) == [
        "fuse-1 never fired: the intervals miss one another by 25ms: `y` has [35ms, 65ms) and `x` has [90ms, 110ms);"
        " they would meet with TTDataIntervalWidth=80001 of lidar-1 (80.001ms; now 30ms),"
        " or TTDataIntervalWidth=70002 of cam-1 (70.002ms; now 20ms), or TTPhase=50000 of cam-1 (50ms; now 0s);"
        " so nothing came to show-1"
    ]


@pytest.mark.parametrize("seed", range(25))
def test_each_change_makes_it_fire(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    period = chance.randint(20, 50)
    other = period * chance.choice([1, 1, 2])
    phases, widths = (0, period // 2), (chance.randint(1, period // 4), chance.randint(1, period // 4))
    clock = chance.choice(["", ", TTClock=c"])
    body = "with TTClock('c', TTClock.root(), 3, 0) as c:\n    pass\n"
    body += f"x = cam(trigger, TTPeriod={period}, TTPhase={phases[0]}, TTDataIntervalWidth={widths[0]}{clock})\n"
    body += f"y = lidar(trigger, TTPeriod={other}, TTPhase={phases[1]}, TTDataIntervalWidth={widths[1]}{clock})\n"
    graph = compiled(tmp_path, body + "return fuse(x, y)")
    manager = run(graph, 3_000)
    assert not manager.process.outputs.count
    host = manager.simulation.hosts()[0]
    (context,) = host.contexts.values()
    near = all_stuck(context)["fuse-1"].near
    assert near is not None
    found = changes(graph, "fuse-1", near)
    assert {change.setting for change in found} >= {"TTDataIntervalWidth"}
    assert ("TTPhase" in {change.setting for change in found}) == (period == other)
    tick = 3 if clock else 1
    for change in found:
        field = {"TTDataIntervalWidth": "width", "TTPhase": "phase"}[change.setting]
        for ticks, fires in ((change.ticks, True), (change.ticks - 2, False)):
            setting = {field: ticks * tick}
            sqs = [msgspec.structs.replace(sq, **setting) if sq.name == change.sq else sq for sq in graph.sqs]
            changed = run(msgspec.structs.replace(graph, sqs=sqs), 3_000)
            if fires:
                assert changed.process.outputs.count
            elif field == "width":  # with less width these two tokens would not meet
                (context,) = changed.simulation.hosts()[0].contexts.values()
                still = all_stuck(context)["fuse-1"].near
                assert changed.process.outputs.count or still is not None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("x = nothing(cam(trigger, TTPeriod=100_000))\nreturn show(fuse(x, lidar(trigger, TTPeriod=100_000)))",
         "fuse-1 never fired: nothing came on `x` from nothing-1 (cam-1 or nothing-1 gave nothing so far: TTEmpty,"
         " a branch not taken, or under way), while tokens wait: 9 on `y`; so nothing came to show-1"),
        ("x = show(raises(cam(trigger, TTPeriod=100_000)))\nreturn fuse(x, lidar(trigger, TTPeriod=100_000))",
         "fuse-1 never fired: nothing came on `x` from show-1 (raises-1 raised 9 times), while tokens wait: 9 on `y`"),
        ("tag, x = cam(trigger, TTPeriod=50_000)\n"
         "return TTFinishByOtherwise(x, TTTimeDeadline=tag, TTPlanB=nothing(tag), TTWillContinue=True)",
         "TTFinishByOtherwise-1 let none of 19 tokens pass: 19 came after their deadlines: a later TTTimeDeadline, or"
         " less time on the way; `ticktalk explain --missing` on a recording (--record) says how much"),
        ("x = raises(cam(trigger, TTPeriod=100_000))\nreturn fuse(x, lidar(trigger, TTPeriod=100_000))",
         "fuse-1 never fired: nothing came on `x` from raises-1 (raises-1 raised 9 times), while tokens wait:"
         " 9 on `y`"),
        ("return show(cam(trigger, TTPeriod=2_000_000))",
         "cam-1 never fired: its first instant is still to come, 2s: a longer run, or a shorter TTPeriod;"
         " so nothing came to show-1"),
        ("return show(nothing(cam(trigger, TTPeriod=100_000)))",
         "no output came, though nothing waits: bodies gave no result, a branch was not taken, or at the end tokens"
         " were still under way. `ticktalk explain FILE --missing SQ@TIME` says which, with --record FILE.mcap"),
        ("x = VALUES_TO_TTTIME(MULT(trigger, -500), MULT(trigger, -20))\n"
         "return cam(COPY_TTTIME(trigger, x), TTPeriod=100_000)",
         "cam-1 never fired: its inputs hold for [-500us, -20us), which has no instant of its period 100ms that was"
         " still to come: a shorter TTPeriod, or inputs that hold for longer"),
        ("x = VALUES_TO_TTTIME(MULT(trigger, 7), MULT(trigger, 20))\n"
         "return cam(COPY_TTTIME(trigger, x), TTPeriod=100)",
         "cam-1 never fired: its inputs hold for [7us, 20us), which has no instant of its period 100us that was still"
         " to come: a shorter TTPeriod, or inputs that hold for longer"),
        ("x = cam(trigger, TTPeriod=10_000)\nreturn fuse(x, lidar(trigger, TTPeriod=50_000))",
         "fuse-1 used 38 of 118 tokens: tokens come at different rates (`x` each 10ms, `y` each 50ms), and each is used"
         " once: RESAMPLE `x` with TTPeriod=50ms would give one for each"),
        ("return", "no output came: the graph has no SQ and returns nothing"),
    ],
)  # fmt: skip
def test_the_reason_that_no_output_came_is_told(body: str, told: str, tmp_path: Path) -> None:
    assert lines(tmp_path, body) == [told]


def test_the_handler_of_unused_tokens_gets_some(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, PAIR.replace("fuse(x, y)", "fuse(x, y, TTUnmatched=alone)"), 260_000)
    assert line.startswith("fuse-1 never fired: ") and line.endswith("; so nothing came to show-1"), line


def test_sqs_that_wait_for_an_ensemble_are_the_reason() -> None:
    graph = {"waits": ["cam-1"], "outputs": 0, "counters": {}, "mapping": {"show-1": "b"}}
    assert silence({"graphs": [graph]}) == ["no output came: cam-1 waited for an ensemble that fits"]


@pytest.mark.parametrize(
    "body",
    [
        "return show(cam(trigger, TTPeriod=100_000))",
        "x = cam(trigger, TTPeriod=100_000)\nreturn fuse(x, lidar(trigger, TTPeriod=100_000))",
        "tag, x = cam(trigger, TTPeriod=100_000)\n"
        "return TTFinishByOtherwise(x, TTTimeDeadline=tag + 50_000, TTPlanB=show(tag), TTWillContinue=True)",
        "x = cam(trigger, TTPeriod=100_000)\nreturn show(x) if x > 5 else x",
        "return show(raises(cam(trigger, TTPeriod=100_000)))",
        "x = cam(trigger, TTPeriod=100_000)\nreturn show(trigger) if trigger else lidar(trigger, TTPeriod=50_000)",
        "return RESAMPLE(cam(trigger, TTPeriod=100_000), TTPeriod=50_000, TTMaxGap=10)",  # its counter `gaps` says it
    ],
)
def test_nothing_is_told_where_all_is_well(body: str, tmp_path: Path) -> None:
    assert lines(tmp_path, body) == []


def test_since_when_an_sq_waits(tmp_path: Path) -> None:
    body = "y = nothing(lidar(trigger, TTPeriod=100_000))\nx = cam(trigger, TTPeriod=100_000)\nreturn fuse(x, y)"
    graph = compiled(tmp_path, body)
    manager = run(graph, 1)
    (context,) = manager.simulation.hosts()[0].contexts.values()
    waits, key = WaitingSince(), (graph.name, context.number)
    assert waits.look(key, context, 1).keys() == {"cam-1", "lidar-1"}  # before their first instant
    seen = []
    for until in (150_000, 250_000, 1_250_000):
        manager.simulation.run(until)
        seen.append(waits.look(key, context, until)["fuse-1"])
    assert [(told.since, told.waits_for, told.came) for told in seen] == [
        (150_000, ["y"], 1), (150_000, ["y"], 2), (150_000, ["y"], 12),
    ]  # fmt: skip
    graphs: list[dict[str, Any]] = [{"waits_for": {"fuse-1": {"ports": ["y"], "since": 150_000}}}]
    assert wait_lines({"now": 1_250_000, "graphs": graphs}) == ["fuse-1 has waited for `y` for 1.1s"]
    assert wait_lines({"now": 1_000_000, "graphs": graphs}) == []
    waits.forget(StopGraph(graph.name))
    assert waits.look(key, context, 2_000_000)["fuse-1"].since == 2_000_000


def test_the_nearest_miss_by_hand() -> None:
    ports = {"a": (2, [(0, 1, 5, None), (20, 2, 25, None)]), "b": (1, [(12, 3, 19, None)]), "c": (0, [])}
    assert nearest(ports) == (("b", 12, 19, "a", 20, 25), [])
    assert nearest({"a": (1, [(0, 1, 5, None)]), "b": (1, [(4, 2, 9, None)])}) == (None, [])
    # Each two meet, but not all three: between the end of `a` and the begin of `c` there are 10.
    three = {"a": (1, [(0, 1, 20, None)]), "b": (1, [(15, 2, 35, None)]), "c": (1, [(30, 3, 50, None)])}
    assert nearest(three) == (("a", 0, 20, "c", 30, 50), [("b", 15, 35)])


def test_of_three_ports_no_change_is_named_with_which_only_two_meet(tmp_path: Path) -> None:
    head = HEAD.replace("@GRAPHify", "@SQify\ndef three(x, y, z):\n    return x\n@GRAPHify")
    body = "    x = cam(trigger, TTPeriod=100)\n    y = lidar(trigger, TTPeriod=100)\n"
    body += "    z = cam(trigger, TTPeriod=100, TTPhase=50, TTDataIntervalWidth=10)\n    return three(x, y, z)\n"
    (tmp_path / "prog.py").write_text(head + body)
    graph = compile_program(str(tmp_path / "prog.py"))
    manager = run(graph, 1_000)
    (context,) = manager.simulation.hosts()[0].contexts.values()
    told = all_stuck(context)["three-1"]
    assert told.near is not None
    found = changes(graph, "three-1", told.near, told.others)
    # A wider x meets z where y does not hold. z has to be as wide as to meet both, or be at their phase.
    assert {(change.sq, change.setting) for change in found} == {("cam-2", "TTDataIntervalWidth"), ("cam-2", "TTPhase")}
    assert not manager.process.outputs.count
    for change in found:
        assert run(applied(graph, change), 1_000).process.outputs.count


def test_streams_that_meet_by_the_program_are_told_to_have_other_clocks(tmp_path: Path) -> None:
    body = "x = cam(trigger, TTPeriod=100)\nreturn fuse(x, lidar(trigger, TTPeriod=50))"
    graph = compiled(tmp_path, body)
    # 10 s apart, though an instant of both is at each 100.
    assert advice(graph, "fuse-1", ("x", 75, 125, "y", 10_000_088, 10_000_113)) == (
        "by the program their instants meet: look at the clocks of their ensembles, or one comes too late"
    )
    assert changes(graph, "fuse-1", ("x", 75, 125, "y", 10_000_088, 10_000_113)) == []


def test_an_sq_of_many_ports_is_no_work_where_time_is_kept() -> None:
    looked = 0

    class Looked(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            nonlocal looked
            looked += 1
            return super().__iter__()

    ports = {f"p{port}": (1, Looked([(10 * port, port, 10 * port + 1, None)])) for port in range(1000)}
    near, others = nearest(ports)
    assert near == ("p0", 0, 1, "p9", 90, 91) and len(others) == silence_module.PORTS - 2
    assert looked <= silence_module.PORTS**2 + silence_module.PORTS
