"""The names of module level whose values may be others than those that statements assign to them.

A constant of a graph is what its statement says, unless code that runs at import changes it: under another name of the
same object, in a function that is called there, from another module. `running_code.py` notes what each piece of code
does; here is told what that leads to when it runs. Nothing of it is run. What cannot be told counts as a change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Node = tuple[str, str]
"""What a name refers to: its module, and its name, with dots in classes. The name "" is that of the module itself."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression leads to.

    Attributes:
        nodes: the objects that it may be, or of which it may be made.
        new: it is a new object, which only holds those.
        part: it may also be what those hold, as an item of a list is.
    """

    nodes: frozenset[Node] = frozenset()
    new: bool = False
    part: bool = False


NOTHING = Value()


@dataclass(frozen=True, slots=True)
class InPlaceChange:
    """A change of objects, or, if it is deep, also of what they hold: the module and the line of its code."""

    nodes: frozenset[Node]
    deep: bool
    module: str
    line: int


@dataclass(slots=True, eq=False)
class Call:
    """A call: what it leads to depends on what its callee is when it runs.

    Attributes:
        method: the name of the method, "" of a plain call.
        receiver: that of a method.
        result: the node of its result.
        otherwise: the change if it calls nothing that is known; None for no change.
        copies: what calls nothing that is known gives a new object; else what it was given, or a part of that.
        hands_on: what it calls may call the functions among its arguments.
    """

    callee: Value
    method: str
    receiver: Value
    positional: list[Value]
    named: dict[str, Value]
    result: Node
    otherwise: InPlaceChange | None
    copies: bool = False
    hands_on: bool = False

    def given(self) -> frozenset[Node]:
        """What its arguments lead to."""
        return frozenset().union(*(value.nodes for value in (*self.positional, *self.named.values())))


@dataclass(slots=True, eq=False)
class Code:
    """What a piece of code does when it runs.

    Attributes:
        rebound: names that it binds or deletes in a module; the name "" stands for any name of that module.
        parameters: of a function.
        bound: it is a method, whose first parameter is its receiver.
    """

    result: Node
    changes: list[InPlaceChange] = field(default_factory=list)
    rebound: list[InPlaceChange] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)  # `*args`, `**named`
    prefix: Node = ("", "")
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The line after which a name may have another value.

    `rebound`: it may be bound to another one; else its value may have been changed in place.
    """

    module: str
    line: int
    rebound: bool


class Objects:
    """The objects that names refer to, as far as they may be the same or hold one another."""

    def __init__(self) -> None:
        self.functions: dict[Node, Code] = {}
        self.members: dict[Node, dict[str, Node]] = {}  # of classes
        self.properties: set[Node] = set()  # those members that are properties
        self.methods: dict[Node, str] = {}  # of `f = obj.method`, the name of the method
        self._parts: set[Node] = set()
        self._from: dict[Node, set[Node]] = defaultdict(set)
        self._same: dict[Node, set[Node]] = defaultdict(set)
        self._holds: dict[Node, set[Node]] = defaultdict(set)
        self._held: dict[Node, set[Node]] = defaultdict(set)
        self.size = 0

    def bind(self, node: Node, value: Value) -> None:
        """Let a node be, or hold, what a value leads to."""
        for other in value.nodes - {node}:
            if value.new:
                self.hold(node, other)
                continue
            if value.part:
                self._parts.add(node)
            self._from[node].add(other)
            if other not in self._same[node]:
                self._same[node].add(other)
                self._same[other].add(node)
                self.size += 1

    def hold(self, node: Node, other: Node) -> None:
        """Let a node hold another one."""
        if node != other and other not in self._holds[node]:
            self._holds[node].add(other)
            self._held[other].add(node)
            self.size += 1

    def member(self, node: Node, name: str, member: Node) -> None:
        """Let a class have an attribute."""
        self.members[node][name] = member
        self._held[member].add(node)

    def changed(self, change: InPlaceChange) -> set[Node]:
        """All nodes whose values a change may reach; of modules only those that are changed themselves."""
        itself = self._closure(change.nodes, self._same)
        if change.deep or not self._parts.isdisjoint(self._closure(change.nodes, self._from)):
            itself = self._closure(
                itself, self._same, self._holds, {n: set(m.values()) for n, m in self.members.items()}
            )
        around = self._closure(itself, self._same, self._held)
        return {node for node in around if node[1] or node in itself}

    @staticmethod
    def _closure(nodes: Iterable[Node], *ways: dict[Node, set[Node]]) -> set[Node]:
        found: set[Node] = set()
        waiting = [*nodes]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                for way in ways:
                    waiting += way.get(node, ())
        return found

    def called(self, nodes: Iterable[Node], method: str, classes: bool = True) -> tuple[list[Code], list[Node]]:
        """The code that a call of these may run, and the classes of which it makes objects; `method`: as of `Call`."""
        found: list[Code] = []
        made: list[Node] = []
        waiting = [(node, method) for node in nodes]
        seen: set[tuple[Node, str]] = set()
        while waiting:
            node, name = step = waiting.pop()
            if step in seen:
                continue
            seen.add(step)
            if node in self.functions:
                found.append(self.functions[node])
            if node in self.members and (classes or name):
                made += [] if name else [node]
                for each, member in self.members[node].items():
                    # Operators and properties of its objects run wherever these are used.
                    if each == name or (not name and (each.startswith("__") or member in self.properties)):
                        waiting.append((member, ""))
            near = [*self._same.get(node, ()), *self._holds.get(node, ())]
            waiting += [(other, each) for other in near for each in {name, self.methods.get(node, name)}]
        return found, made


class CodeRunner:
    """Runs code in thought: finds all that it calls, and what all that changes."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def run(self, first: Code) -> tuple[dict[Node, Lost], dict[Node, Lost]]:
        """The nodes whose values the code may change in place, and those that it may bind anew."""
        codes: dict[int, Code] = {id(first): first}
        size = (-1, -1)
        unknown: list[InPlaceChange] = []
        while size != (self._objects.size, len(codes)):
            size = self._objects.size, len(codes)
            unknown = []
            for code in [*codes.values()]:
                for call in code.calls:
                    for called in self._run_call(call, unknown):
                        codes[id(called)] = called
        changed: dict[Node, Lost] = {}
        rebound: dict[Node, Lost] = {}
        for change in (*unknown, *(each for code in codes.values() for each in code.changes)):
            for node in self._objects.changed(change):
                way = changed if node[1] else rebound  # a change of a module binds its names
                way.setdefault(node, Lost(change.module, change.line, not node[1]))
        for change in (each for code in codes.values() for each in code.rebound):
            for node in change.nodes:
                rebound.setdefault(node, Lost(change.module, change.line, True))
        return changed, rebound

    def _run_call(self, call: Call, unknown: list[InPlaceChange]) -> Iterator[Code]:
        objects = self._objects
        codes, classes = objects.called(call.callee.nodes, call.method)
        result = Value(frozenset({call.result}))
        for made in classes:
            objects.bind(call.result, Value(call.given() | {made}, True))
        for code in codes:
            own = [result] if classes else [call.receiver]
            given = [*(own if code.bound else []), *call.positional]
            for index, value in enumerate(given):
                self._give(code, code.parameters[index] if index < len(code.parameters) else "", value)
            for name, value in call.named.items():
                self._give(code, name if name in code.parameters else "", value)
            if not classes:
                objects.bind(call.result, Value(frozenset({code.result})))
        yield from codes
        if not codes and not classes:
            unknown += [] if call.otherwise is None else [call.otherwise]
            objects.bind(call.result, Value(call.given() | call.receiver.nodes, call.copies, not call.copies))
        if call.hands_on:
            for code in objects.called(call.given(), "", classes=False)[0]:
                for name in code.parameters:
                    self._give(code, name, Value(call.given(), part=True))
                yield code

    def _give(self, code: Code, parameter: str, value: Value) -> None:
        """Give a value to a parameter, or to those for any further ones."""
        module, prefix = code.prefix
        for name in [parameter] if parameter else [*code.rest, *code.parameters]:
            new = value.new or not parameter
            self._objects.bind((module, f"{prefix}{name}"), Value(value.nodes, new, value.part))
