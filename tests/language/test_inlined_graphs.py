"""A graph that calls graphs is the graph that one writes by inlining their bodies by hand: at random, both ways."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_program

SQS = """\
from ticktalk import *
@SQify
def double(x, k=2): return k * x
@SQify
def add(x, y): return x + y
@SQify
def total(xs): return sum(xs)
@SQify
def split(x): return x, x
@STREAMify
def src(trigger): return 1
"""


AROUND = (
    "with TTConstraint(name='edge'):",
    "with TTConstraint(components=['camera']):",
    "with TTClock.root() as c, TTPlanB(add(0, 1)), TTDeadline(c, 100):",
)


@dataclass
class Graph:
    """A graph function: parameters that are arcs, a list of arcs, and a constant, which may be left out."""

    name: str
    arcs: list[str]
    listed: str
    constant: str
    default: int
    body: list[Any] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    home: str = ""


class Writer:
    """Makes graphs at random, the later ones calling the earlier ones, and writes them in both ways."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.graphs: list[Graph] = []
        for number in range(self.chance.randint(2, 5)):
            self.graphs.append(self._graph(f"g{number}"))
        self._flat = 0

    def _graph(self, name: str) -> Graph:
        chance = self.chance
        made = Graph(name, ["a", "b"][: chance.randint(1, 2)], "ls", "n", chance.randint(0, 3))
        arcs = list(made.arcs)
        made.body = self._body(arcs, chance.randint(3, 6), 2)
        made.results = [chance.choice(arcs) for _ in range(chance.randint(1, 3))]
        made.home = chance.choice(["", "lib"]) if all(g.home == "lib" for g in self.graphs) else ""
        return made

    def _body(self, arcs: list[str], count: int, depth: int) -> list[Any]:
        """Statements; `arcs` are the names bound to arcs so far."""
        chance, body = self.chance, []
        for _ in range(count):
            kind = chance.choice(["double", "add", "plus", "total", "loop", "split", "call", "call", "if", "with"])
            new = f"v{len(arcs)}_{chance.randrange(10**6)}"
            one, other = chance.choice(arcs), chance.choice(arcs)
            if kind == "call" and self.graphs:
                callee = chance.choice(self.graphs)
                given = [chance.choice(arcs) for _ in callee.arcs]
                listed = [chance.choice(arcs) for _ in range(chance.randint(1, 3))]
                number = chance.choice([None, 0, 2, "n"])
                targets = [f"{new}_{place}" for place in range(len(callee.results))]
                named = chance.random() < 0.2
                body.append(("call", targets, callee, given, listed, number, chance.random() < 0.5, named))
                arcs += targets
            elif kind in ("if", "with") and depth:
                inner = self._body(list(arcs), chance.randint(1, 3), depth - 1)
                body.append((kind, inner, self._body(list(arcs), 1, depth - 1), chance.randint(0, 2)))
            elif kind not in ("if", "with", "call"):
                body.append((kind, new, one, other))
                arcs.append(new)
        return body

    # As graphs in graphs.

    def nested(self) -> tuple[str, str]:
        """The program, and the module beside it."""
        lib = [line for graph in self.graphs if graph.home for line in self._function(graph)]
        own = [line for graph in self.graphs if not graph.home for line in self._function(graph)]
        return "\n".join(["from lib import *", *own]), "\n".join([SQS, *lib])

    def _function(self, graph: Graph) -> list[str]:
        parameters = [*graph.arcs, f"{graph.listed}=()", "*", f"{graph.constant}={graph.default}"]
        if graph is self.graphs[-1]:
            parameters = graph.arcs
        lines = ["@GRAPHify", f"def {graph.name}({', '.join(parameters)}):"]
        if graph is self.graphs[-1]:
            lines += [f"    {graph.listed} = [{', '.join(graph.arcs)}]", f"    {graph.constant} = {graph.default}"]
        lines += self._written(graph.body, "    ")
        return [*lines, f"    return {', '.join(graph.results)}"]

    def _written(self, body: list[Any], indent: str) -> list[str]:
        lines = []
        for kind, *rest in body:
            if kind == "call":
                targets, callee, given, listed, number, by_name, named = rest
                words = list(given)
                if by_name:
                    words = [f"{name}={value}" for name, value in zip(callee.arcs, given, strict=True)]
                words += [f"ls=[{', '.join(listed)}]", *([f"n={number}"] if number is not None else [])]
                words += [f"TTName='t{targets[0]}'"] if named else []
                lines.append(f"{indent}{', '.join(targets)} = {callee.name}({', '.join(words)})")
            elif kind in ("if", "with"):
                then, otherwise, number = rest
                lines.append(indent + (f"if n > {number}:" if kind == "if" else AROUND[number]))
                lines += self._written(then, indent + "    ")
                if kind == "if":
                    lines += [f"{indent}else:", *self._written(otherwise, indent + "    ")]
            else:
                lines.append(indent + statement(kind, *rest, "n", "ls"))
        return [*lines, f"{indent}pass"]

    # Inlined.

    def flat(self) -> str:
        """The program without graphs in graphs."""
        graph = self.graphs[-1]
        lines = ["from lib import *", "@GRAPHify", f"def {graph.name}({', '.join(graph.arcs)}):"]
        names = {name: name for name in graph.arcs}
        listed = [names[name] for name in graph.arcs]
        lines += self._inlined(graph.body, names, listed, graph.default, "    ")
        return "\n".join([*lines, f"    return {', '.join(names[name] for name in graph.results)}"])

    def _inlined(
        self, body: list[Any], names: dict[str, str], listed: list[str], number: int, indent: str
    ) -> list[str]:
        """Statements in which local names have become `names`; new ones are added to it."""
        lines = []
        for kind, *rest in body:
            if kind == "call":
                targets, callee, given, some, constant, _, _ = rest
                inner = {name: names[value] for name, value in zip(callee.arcs, given, strict=True)}
                constant = callee.default if constant is None else number if constant == "n" else constant
                lines += self._inlined(callee.body, inner, [names[each] for each in some], constant, indent)
                names.update(zip(targets, (inner[name] for name in callee.results), strict=True))
            elif kind == "if":
                then, otherwise, least = rest
                lines += self._inlined(then if number > least else otherwise, dict(names), listed, number, indent)
            elif kind == "with":
                lines.append(indent + AROUND[rest[2]])
                inner_lines = self._inlined(rest[0], dict(names), listed, number, indent + "    ")
                lines += [*inner_lines, f"{indent}    pass"]
            else:
                new, one, other = rest
                self._flat += 1
                names[new] = f"f{self._flat}"
                words = statement(kind, names[new], names[one], names[other], str(number), f"[{', '.join(listed)}]")
                lines.append(indent + words)
        return lines


def statement(kind: str, new: str, one: str, other: str, number: str, listed: str) -> str:
    forms: Mapping[str, str] = {
        "double": f"{new} = double({one}, k={number} + 1)",
        "add": f"{new} = add({one}, y={other})",
        "plus": f"{new} = {one} + {other} * 3",
        "total": f"{new} = total([{one}] + list({listed}))",
        "loop": f"{new} = total([double(x, k=i) for i, x in enumerate(list({listed}) * {number})] + [{one}])",
        "split": f"{new}, _ = split({one})",
    }
    return forms[kind]


def shape(graph: TTGraph) -> Any:
    """All of a graph but the names of SQs and arcs, and the places in files."""
    number = {sq.name: place for place, sq in enumerate(graph.sqs)}

    def ends(to: Any) -> Any:
        return [(number[end.sq], end.port) for end in to]

    sqs = [
        (
            sq.function, sq.stream, sq.rank, sq.order, sq.trigger, sq.offset, sq.will_continue, sq.unpack,
            [(c.names, c.components) for c in sq.constraints], sq.plan_b and number[sq.plan_b],
            {name: decode_constant(value) for name, value in sq.parameters.items()},
            [(port.name, port.sticky, port.constant) for port in sq.ports],
            [(arc.kind, arc.path, arc.output, ends(arc.to)) for arc in sq.arcs],
        )
        for sq in graph.sqs
    ]  # fmt: skip
    return [(each.name, ends(each.to)) for each in graph.inputs], sqs


@pytest.mark.parametrize("seed", range(60))
def test_graphs_in_graphs_are_those_inlined_by_hand(seed: int, tmp_path: Path) -> None:
    writer = Writer(seed)
    program, lib = writer.nested()
    (tmp_path / "lib.py").write_text(lib)
    (tmp_path / "nested.py").write_text(program)
    (tmp_path / "flat.py").write_text(writer.flat())
    nested = compile_program(tmp_path / "nested.py", writer.graphs[-1].name)
    assert shape(nested) == shape(compile_program(tmp_path / "flat.py"))
    assert len({sq.name for sq in nested.sqs}) == len(nested.sqs)
