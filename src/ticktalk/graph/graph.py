"""The graph of a program, and the JSON file in which it is kept.

The file is readable and versioned, carries the sources of the bodies and a hash of all its content, and is
only ever parsed: loading one runs nothing.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec

from ticktalk.errors import TTGraphError
from ticktalk.graph.sq import TTSQ, TTArc, TTInput
from ticktalk.input_file import read_bytes
from ticktalk.time import ROOT, TTClock
from ticktalk.time.grid import repeats_after

FORMAT = "ticktalk-graph"
VERSION = 3
READABLE = (1, 2, VERSION)
"""Version 2 has functions of modules, which are not the program's own. Version 3 has periods that are fractions,
handlers of unused tokens, streams that catch up, timeouts: a TickTalk that does not know them would pass them over.
"""

LAST_LINE = 10_000_000
"""The highest number of a line in a program; messages show lines by making a text with as many."""


class TTClockSpec(msgspec.Struct, frozen=True):
    """A clock of the program as data: see `TTClock`. The root clock is not listed."""

    name: str
    parent: str
    period: int
    epoch: int


class TTFunction(msgspec.Struct, omit_defaults=True):
    """A body as it travels: its source, and the statements of its module that it needs.

    Attributes:
        name: the function's name; that of a function of another module is dotted: `devices.camera`.
        line: the program's line at which `source` begins, so that messages show the user's own lines.
        source: the `def` without the TickTalk decorator.
        needs: indices into `TTGraph.statements`: the module-level statements it needs, in source order.
        components: literal names given to `component()` in it.
        module: the dotted name of the module that defines it, which is imported as a whole; "" for the program.
        assigns: names that its module assigns (not by import, class or a bare def): copied per instance.
    """

    name: str
    line: int
    source: str
    needs: list[int] = []
    components: list[str] = []
    module: str = ""
    assigns: list[str] = []


class TTStatement(msgspec.Struct, omit_defaults=True):
    """A module-level statement that some body needs.

    Attributes:
        line: where it begins in the program.
        source: its text (of a decorated TickTalk function, without that decorator).
        assigns: names it assigns (not by import, class or a bare def): copied per instance.
    """

    line: int
    source: str
    assigns: list[str] = []


class TTGraph(msgspec.Struct, omit_defaults=True):
    """A compiled program.

    Attributes:
        name: the program's file stem.
        file: the program's file name, as messages show it.
        inputs: the graph's inputs in order.
        sqs: the nodes in source order (an SQ comes after the ones whose tokens it consumes).
        clocks: clocks other than the root, parents first.
        functions: the bodies, by function name (of other modules than the program: dotted).
        statements: module-level statements that bodies need, in source order.
        modules: sources of modules that lie beside the program, dotted name to source; a package's own
            source is under `<name>.__init__`.
    """

    name: str
    file: str = ""
    inputs: list[TTInput] = []
    sqs: list[TTSQ] = []
    clocks: list[TTClockSpec] = []
    functions: dict[str, TTFunction] = {}
    statements: list[TTStatement] = []
    modules: dict[str, str] = {}

    @property
    def module(self) -> str:
        """The name by which code imports the program: its file's stem, however the graph is called."""
        return Path(self.file).stem or self.name

    def sq(self, name: str) -> TTSQ:
        """The SQ of that name.

        Raises:
            KeyError: there is none.
        """
        for sq in self.sqs:
            if sq.name == name:
                return sq
        raise KeyError(name)

    def clock(self, name: str) -> TTClock:
        """The clock of that name as a `TTClock`."""
        return self.clock_tree()[name]

    def clock_tree(self) -> dict[str, TTClock]:
        """All clocks by name, the root among them."""
        clocks = {"root": ROOT}
        for spec in self.clocks:
            clocks[spec.name] = TTClock(spec.name, clocks[spec.parent], spec.period, spec.epoch)
        return clocks

    def outputs(self) -> list[tuple[TTSQ, TTArc]]:
        """The arcs whose tokens are the graph's outputs, in source order."""
        return [(sq, arc) for sq in self.sqs for arc in sq.arcs if arc.output]

    def save(self, path: str | Path) -> None:
        """Write the graph to `path` as one JSON file.

        Raises:
            TTGraphError: the file cannot be written.
        """
        try:
            Path(path).write_bytes(self.to_json())
        except OSError as error:
            raise TTGraphError(f"{path}: the graph cannot be written: {error.strerror}") from None

    def to_json(self) -> bytes:
        """The content of the graph's file."""
        content = msgspec.to_builtins(self)
        document = {"format": FORMAT, "version": VERSION, "sha256": _content_hash(content), "graph": content}
        return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"

    @staticmethod
    def load(path: str | Path) -> TTGraph:
        """Read a graph file. Nothing of it is run.

        Raises:
            TTGraphError: the file cannot be read, is no graph, was altered or truncated, or is of another version.
        """
        try:
            text = read_bytes(path)
        except OSError as error:
            raise TTGraphError(f"{path}: the graph file cannot be read: {error.strerror}") from None
        return TTGraph.from_json(text, str(path))

    @staticmethod
    def from_json(text: bytes, where: str = "graph") -> TTGraph:
        """The graph that `to_json` wrote; `where` is the file's name for messages.

        Raises:
            TTGraphError: as `load`.
        """
        again = "compile the program again with `ticktalk compile`"
        try:
            document = msgspec.json.decode(text.removeprefix(codecs.BOM_UTF8))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TTGraphError(f"{where}: not a graph file, or a truncated one ({error}); {again}") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise TTGraphError(f"{where}: not a TickTalk graph file; {again}")
        if document.get("version") not in READABLE:
            raise TTGraphError(
                f"{where}: a graph of version {document.get('version')!r}, but this TickTalk reads versions"
                f" {READABLE[0]} to {VERSION}; {again}"
            )
        content = document.get("graph")
        if _content_hash(content) != document.get("sha256"):
            raise TTGraphError(f"{where}: the content does not match its hash, so it was altered; {again}")
        try:
            graph = msgspec.convert(content, TTGraph)
            graph.check()
        except (msgspec.ValidationError, ValueError, KeyError, TypeError) as error:
            raise TTGraphError(f"{where}: not a valid graph: {error}; {again}") from None
        return graph

    def content_hash(self) -> str:
        """The SHA-256 over the graph's content, as its file carries it."""
        return _content_hash(msgspec.to_builtins(self))

    def _repr_svg_(self) -> str:
        """The picture that a notebook shows."""
        from ticktalk.graph.drawing import draw  # few programs want one

        return draw(self, "svg")

    def check(self) -> None:
        """Make sure that every reference in the graph leads somewhere.

        Raises:
            ValueError: one does not; the message says which.
        """
        check_graph_name(self.name)
        clocks = self.clock_tree()
        by_name = {sq.name: sq for sq in self.sqs}
        if len(by_name) != len(self.sqs):
            raise ValueError("two SQs have one name")
        position = {sq.name: index for index, sq in enumerate(self.sqs)}
        ways = [("an input", -1, destination) for source in self.inputs for destination in source.to]
        ways += [(sq.name, position[sq.name], to) for sq in self.sqs for arc in sq.arcs for to in arc.to]
        for source, at, destination in ways:
            target = by_name.get(destination.sq)
            if target is None or not 0 <= destination.port < len(target.ports):
                raise ValueError(f"an arc of {source} leads to a port that is not there: {destination}")
            if position[destination.sq] <= at:
                raise ValueError(f"an arc of {source} leads backwards to {destination.sq}")
        for sq in self.sqs:
            if sq.clock not in clocks:
                raise ValueError(f"{sq.name} uses the unknown clock {sq.clock!r}")
            if sq.body and sq.function not in self.functions:
                raise ValueError(f"{sq.name} uses the unknown function {sq.function!r}")
            if sq.timeout < 0:
                raise ValueError(f"{sq.name} has a negative timeout")
            if sq.plan_b is not None and sq.plan_b not in by_name:
                raise ValueError(f"{sq.name} uses the unknown plan B {sq.plan_b!r}")
            grid = sq.per > 0 and sq.period >= sq.per and 0 <= sq.phase < repeats_after(sq.every) and sq.width > 0
            if sq.trigger == "grid" and not grid:
                raise ValueError(f"{sq.name} has no valid period, phase and width")
        lines = [*(sq.line for sq in self.sqs), *(function.line for function in self.functions.values())]
        lines += [statement.line for statement in self.statements]
        if any(not 0 <= line <= LAST_LINE for line in lines):
            raise ValueError(f"a line of the program has a number that no file has: it is not within 0 and {LAST_LINE}")
        for function in self.functions.values():
            if any(not 0 <= need < len(self.statements) for need in function.needs):
                raise ValueError(f"{function.name} needs a statement that is not there")


def check_graph_name(name: str) -> None:
    """Make sure that a graph can be called so, as a program or as a later version of one (`replacement.py`).

    Raises:
        ValueError: it cannot.
    """
    if not re.fullmatch(r"[^/\\\ud800-\udfff]{1,255}(~\d+)?", name):
        raise ValueError(f"{name[:100]!r} is no name for a graph: use 1 to 255 characters, none of them / or \\")


def _content_hash(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
