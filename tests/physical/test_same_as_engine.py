"""Random graphs give the same on a device as on the engine with bodies run in place, in simulated time.

The same tokens go to both: the test sends them, or takes the sources' outputs on the device. So instants that a busy
machine skips do not matter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from systems import repeated
from test_device_regions import HEAD, Receiver

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.language.compiler import compile_source
from ticktalk.payloads import Deployment, StartContext
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.regions import together as crossing
from ticktalk.values.codec import plain

BODIES = """
@STREAMify
def src(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n, 2 * n, TTEmpty() if n % 3 == 1 else 3 * n
@SQify
def named(x, name):
    return name, x
@SQify
def total(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]
@SQify
def mixed(x, y):
    return 3 * x - y
@SQify
def three(x, y, z):
    return x + 2 * y - z
@SQify
def some(x):
    return x if x % 3 else TTEmpty()
@SQify
def breaks(x):
    if x % 5 == 2:
        raise ValueError(x)
    return x + 7
@SQify
def keyed(x, add=3):
    return x + add
@SQify
def boxed(x):
    return [x, [x]]
@SQify
def unboxed(b):
    b[1].append(b.pop(0))
    return sum(b[0])
@SQify
def parts(x):
    return x + 1, (TTEmpty() if x % 4 == 1 else x + 2, x + 3)
@SQify
def pair(x):
    return x, TTEmpty() if x % 4 == 2 else -x
"""

STEP = 20_000
"""Ticks between two tokens that the test sends; late ones begin in between."""


def program(rng: random.Random, sources: int) -> tuple[str, list[str], set[str]]:
    """The text of a random graph, the names of its sources' parts, and its tokens in the order of its instants.

    Sets that match may come in another order than their instants, where tokens of several wait at one turn.
    """
    lines, known = [], []
    for source in range(sources):
        names = [f"s{source}_{part}" for part in range(3)]
        lines.append(f"tag{source}, ({', '.join(names)}) = src(trigger_{source}, TTPeriod=10000)")
        known += names
    fed = list(known)
    ordered = set(known)
    for number in range(rng.randint(4, 10)):
        x, y, z = (rng.choice(fed[-5:] if rng.random() < 0.5 else fed) for _ in range(3))
        new = [f"v{number}"]
        calls = [f"{x} + 1", f"{x} * 2 - 1", f"{x} - {y}", f"mixed({x}, {y})", f"three({x}, {y}, {z})", f"total({x})"]
        calls += [f"some({x})", f"breaks({x})", f"keyed({x}, add={number})", f"unboxed(boxed({x}))", "parts", "pair"]
        what = rng.choice(calls)
        if "total" in what and x not in ordered:
            what = f"keyed({x}, add=1)"
        if what == "parts":
            new = [f"v{number}_{part}" for part in range(3)]
            lines.append(f"{new[0]}, ({new[1]}, {new[2]}) = parts({x})")
        elif what == "pair":
            new = [f"v{number}_{part}" for part in range(2)]
            lines.append(f"{', '.join(new)} = pair({x})")
        else:
            lines.append(f"{new[0]} = {what}")
        fed += new
        if x in ordered and not what.startswith(("mixed", "three", f"{x} - ")):
            ordered.update(new)
    told = f'named({fed[0]}, "{fed[0]}")'
    for name in fed[1:]:
        if name in known or rng.random() < 0.8:
            told = f'MERGE({told}, named({name}, "{name}"))'
    return "\n".join("    " + line for line in [*lines, f"return {told}"]) + "\n", known, ordered


class Truth:
    """The engine with bodies in place, and its own surroundings."""

    accelerator = None

    def __init__(self, text: str, elsewhere: set[str]) -> None:
        self.outputs: list[tuple[str, Any, Any, Any]] = []
        graph = compile_source(HEAD + text, "truth.py", "truth")
        self.agenda = Agenda()
        host = EnsembleHost("edge", {}, self.agenda, self)
        answer = host.prepare(
            Deployment(graph, {sq.name: "other" if sq.name in elsewhere else "edge" for sq in graph.sqs})
        )
        assert answer.problem is None
        self.context = host.start(StartContext("truth", 1, 0, {"trigger": 1}))

    def publish(self, graph: str, context: int, arc: str, ensembles: list[str], *token: Any) -> None:
        raise AssertionError("nothing here feeds the sources")

    def output(self, graph: str, context: int, sq: str, value: Any, start: Any, stop: Any) -> None:
        self.outputs.append((sq, plain(value), start, stop))

    def firing_error(self, graph: str, context: int, error: Any) -> None:
        pass

    def take(self, tokens: list[tuple[str, Any]], start: int, stop: int) -> None:
        for arc, value in tokens:
            self.context.arrive(arc, value, start, stop)
        self.agenda.run_ready(self.agenda.now + 1)

    def counted(self) -> dict[str, dict[str, int]]:
        return told(self.context.counts)


def told(counts: Any) -> dict[str, dict[str, int]]:
    """The counts of errors and of sets out of order, without the window, which is not of the truth's time."""
    kinds = ("errors", "out_of_order")
    found = {sq: {kind: n for kind, n in of.items() if kind in kinds and n} for sq, of in counts.items()}
    return {sq: of for sq, of in found.items() if of and not sq.startswith("COPY_TTTIME")}


def by_name(outputs: list[tuple[str, Any, Any, Any]]) -> dict[str, list[Any]]:
    """The outputs by name, or by their SQ: a result without a consumer is an output, too."""
    found: dict[str, list[Any]] = {}
    for sq, value, start, stop in outputs:
        name, value = value if isinstance(value, tuple) else (sq, value)
        found.setdefault(name, []).append((value, start, stop))
    return found


def compare(found: dict[str, list[Any]], true: dict[str, list[Any]], ordered: set[str], where: str) -> None:
    for name in sorted({*found, *true}):
        ours, theirs = found.get(name, []), true.get(name, [])
        if name not in ordered:
            ours, theirs = sorted(ours), sorted(theirs)
        first = next(
            (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(map(len, (ours, theirs)))
        )
        about = slice(max(0, first - 2), first + 3)
        assert ours == theirs, f"{name}: {ours[about]} where {theirs[about]} is right; {where}"


def outputs_of(receiver: Receiver, graph: str) -> dict[str, list[Any]]:
    return by_name([(o.sq, plain(o.value), o.start, o.stop) for o in list(receiver.outputs) if o.graph == graph])


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "process"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = Receiver(request.param)
    yield made
    made.node.close()


@pytest.fixture
def formed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the regions that went together; they are formed early, even where bodies are slow."""
    kinds: list[str] = []
    begin = crossing.DeviceRegion._begin

    def count(region: Any) -> None:
        kinds.append(region.shape.kind)
        begin(region)

    monkeypatch.setattr(crossing.DeviceRegion, "_begin", count)
    monkeypatch.setattr(crossing, "LOOKS_AFTER", 2)
    monkeypatch.setattr(crossing, "LOOKS_AGAIN", 3)
    monkeypatch.setattr(crossing, "SHARE", 1)
    return kinds


def test_tokens_of_another_ensemble(receiver: Receiver, formed: list[str]) -> None:
    for seed in range(14):
        rng = random.Random(seed)
        body, _, ordered = program(rng, 1)
        text = BODIES + "@GRAPHify\ndef main(trigger):\n" + body.replace("trigger_0", "trigger")
        graph = receiver.begin(text, "src-1")
        truth = Truth(text, {"src-1"})
        context = receiver.node.host.contexts[graph, 1]
        names = sorted(context.syncs)
        for n in range(120):
            start, width = n * STEP, STEP // 2
            if n > 3 and rng.random() < 0.03:
                start, width = (n - 2) * STEP + STEP // 2 + n, STEP // 8
            arcs = rng.sample(range(3), rng.choice([1, 2, 3, 3, 3]))
            values = {arc: rng.randint(0, 50) for arc in sorted(arcs)}
            truth.take([(f"src-1/{arc}", value) for arc, value in values.items()], start, start + width)
            receiver.send(graph, "src-1", values, start, start + width)
            chance = rng.random()
            if chance < 0.2:
                receiver.finished(graph)
            elif chance < 0.25:
                held = rng.sample(names, rng.randint(0, 2))
                in_loop(receiver.node, lambda context=context, held=held: context.hold(held))
            elif chance < 0.35 or n == 119:
                in_loop(receiver.node, lambda context=context: context.release(set(context.held)))
        in_loop(receiver.node, lambda context=context: context.release(set(context.held)))
        receiver.finished(graph)
        compare(outputs_of(receiver, graph), by_name(truth.outputs), ordered, f"seed {seed}:\n{body}")
        assert told(receiver.counts(graph)) == truth.counted(), f"seed {seed}:\n{text}"
        in_loop(receiver.node, lambda graph=graph: receiver.node.stop_graph(graph))
    assert {"token", "firing"} <= set(formed)


def instants_of(outputs: dict[str, list[Any]], parts: list[str]) -> dict[tuple[int, int], list[tuple[str, Any]]]:
    """By interval, what the parts of sources had to say."""
    found: dict[tuple[int, int], list[tuple[str, Any]]] = {}
    for name in parts:
        source, part = int(name[1]), int(name[3])
        for value, start, stop in outputs.get(name, ()):
            found.setdefault((start, stop), []).append((f"src-{source + 1}/{part}", value))
    return found


def test_instants(receiver: Receiver, formed: list[str]) -> None:
    for seed in range(4):
        rng = random.Random(100 + seed)
        sources = 1 + seed % 2
        body, parts, ordered = program(rng, sources)
        window = "    start = READ_TTCLOCK(trigger, TTClock=root_clock)\n"
        window += "    window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 600000))\n"
        inside = "".join(f"    {line}\n" for line in (window + body).splitlines())
        for source in range(sources):
            inside = inside.replace(f"trigger_{source}", "window")
        text = BODIES + "@GRAPHify\ndef main(trigger):\n    with TTClock.root() as root_clock:\n" + inside
        graph = repeated(
            lambda text=text: receiver.finished(receiver.run(text)),
            lambda graph, parts=parts: len(instants_of(outputs_of(receiver, graph), parts)) > 5,
            "a run that skips few instants",
        )
        found = outputs_of(receiver, graph)
        instants = instants_of(found, parts)
        truth = Truth(text, {f"src-{source + 1}" for source in range(sources)})
        for (start, stop), tokens in sorted(instants.items()):
            truth.take(tokens, start, stop)
        compare(found, by_name(truth.outputs), ordered, f"seed {seed}:\n{body}")
        assert told(receiver.counts(graph)) == truth.counted(), f"seed {seed}:\n{text}"
    assert "instant" in formed
