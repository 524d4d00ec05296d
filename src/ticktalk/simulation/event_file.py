"""The file of events for `ticktalk simulate --events`: faults and changes of ensembles and links. YAML:

    - at: 5s
      fail: b                               # its process dies
    - at: 9s
      recover: b                            # it starts anew, and joins
    - at: 10s
      join: c=gpu,camera                    # a new ensemble, with components
    - {at: 12s, cut: [a, b]}                # no message gets through between the two
    - {at: 14s, heal: [a, b]}
    - {at: 15s, slow: {ensemble: b, factor: 3}}   # its bodies take three times as long from now on
    - {at: 0s, cost: {function: fuse, time: 20ms}}    # its runs take so long on the reference from now on
    - {at: 0s, link: {between: [a, b], latency: 20ms, jitter: 5ms, loss: 1%}}   # what is left out stays as it is
    - {at: 9s, clock: {ensemble: b, step: -3ms, drift: 20ppm}}    # the clock jumps, and drifts from now on
    - {at: 20s, replace: prog2.py}          # the graph goes on as this version of it; relative to the file of events
    - {at: 30s, replace: {program: prog3.py, drop-state: [count-1], watch: 1s}}

Times count from the start of the run. All mistakes are told at once, each with its line; so are events that cannot
happen, such as the failure of a failed ensemble. Costs, links and clocks of `at: 0s` hold before anything starts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import yaml

from ticktalk.durations import duration_text
from ticktalk.mapping.deployment_file import LinkSpec, drift, link_of, signed_duration
from ticktalk.mapping.ensembles import check_ensemble_name
from ticktalk.mapping.write_deployment import decimal, link_fields
from ticktalk.replacement import WATCH
from ticktalk.source_problems import did_you_mean
from ticktalk.yaml_file import YamlFile, kind_of, number, read_text

EventKind = Literal["fail", "recover", "join", "cut", "heal", "slow", "cost", "link", "clock", "replace"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
CHANGES = ("cost", "link", "clock")
"""Kinds that are no faults: nobody has to notice them."""


class FileEvent(NamedTuple):
    """Something that happens.

    Attributes:
        at: microseconds after the start of the run.
        kind: its kind of fault.
        ensembles: the ensemble, or the two ends of a link.
        components: (join) of the new ensemble.
        factor: (slow) by how much longer its bodies take than they did at first.
        function, time: (cost) microseconds that its runs take on the reference.
        link: (link) the fields that change, by name.
        clock: (clock) the step, and the drift from then on; None: it stays.
        program: (replace) the file of the new version.
        drop_state: (replace) SQs whose state is not carried over.
        watch: (replace) microseconds for which the new version is watched.
        line: where it is in its file.
    """

    at: int
    kind: EventKind
    ensembles: tuple[str, ...]
    components: tuple[str, ...] = ()
    factor: Fraction = Fraction(1)
    function: str = ""
    time: int = 0
    link: Mapping[str, Any] = {}
    clock: tuple[int, Fraction | None] = (0, None)
    line: int = 0
    program: str = ""
    drop_state: tuple[str, ...] = ()
    watch: int = WATCH


def read_events(path: str | Path, ensembles: Iterable[str], manager: str) -> list[FileEvent]:
    """Read a file of events, in the order in which they happen.

    Args:
        path: the file.
        ensembles: the ensembles at the start.
        manager: the name of the manager's own ensemble.

    Raises:
        TTError: it cannot be read, or is not valid: a line for each mistake.
    """
    return parse_events(read_text(path, "file of events"), ensembles, manager, str(path))


def joining_ensembles(path: str | Path) -> list[str]:
    """The names of the ensembles that join by a file of events.

    Raises:
        TTError: as `read_events`, but for impossible events.
    """
    reader = _Reader(str(path), "file of events")
    events = reader.document(reader.compose(read_text(path, "file of events")))
    reader.check()
    return [event.ensembles[0] for event in events if event.kind == "join"]


def parse_events(text: str, ensembles: Iterable[str], manager: str, file: str = "events") -> list[FileEvent]:
    """As `read_events`, of the file's text; `file` is its name for messages."""
    reader = _Reader(file, "file of events")
    events = reader.document(reader.compose(text))
    reader.check()
    reader.could_happen(events, list(ensembles), manager)
    reader.check()
    return events


def events_text(events: Iterable[FileEvent]) -> str:
    """The text of a file of events; reading that gives the same events."""
    return "".join(f"- {{at: {duration_text(event.at)}, {_what(event)}}}\n" for event in events)


def _what(event: FileEvent) -> str:
    """The kind of an event, and what happens, as in its file."""
    if event.kind in ("cut", "heal"):
        return f"{event.kind}: [{', '.join(event.ensembles)}]"
    parts: dict[str, Any]
    if event.kind == "slow":
        parts = {"ensemble": event.ensembles[0], "factor": decimal(event.factor)}
    elif event.kind == "cost":
        parts = {"function": event.function, "time": duration_text(event.time)}
    elif event.kind == "link":
        parts = {"between": f"[{', '.join(event.ensembles)}]", **link_fields(event.link)}
    elif event.kind == "clock":
        step, rate = event.clock
        parts = {"ensemble": event.ensembles[0], "step": duration_text(step)}
        parts |= {} if rate is None else {"drift": f"{decimal(rate)}ppm"}
    elif event.kind == "replace":
        parts = {"program": json.dumps(event.program), "watch": duration_text(event.watch)}
        parts |= {"drop-state": f"[{', '.join(event.drop_state)}]"} if event.drop_state else {}
    else:
        name = event.ensembles[0]
        return f'join: "{name}={",".join(event.components)}"' if event.components else f"{event.kind}: {name}"
    return f"{event.kind}: {{{', '.join(f'{name}: {text}' for name, text in parts.items())}}}"


class _Reader(YamlFile):
    def document(self, root: yaml.Node | None) -> list[FileEvent]:
        if root is None:
            return []
        if not isinstance(root, yaml.SequenceNode):
            self.wrong(root, f"a file of events is a list, each entry with a `- at: ...`, not {kind_of(root)}")
            return []
        found = [event for node in root.value if (event := self.event(node)) is not None]
        return sorted(found, key=lambda event: event.at)

    def event(self, node: yaml.Node) -> FileEvent | None:
        found = self.fields(node, "an event", ("at", *EVENT_KINDS))
        if not found:
            if isinstance(node, yaml.MappingNode) and not node.value:
                self.wrong(node, "the event is empty: write `at: 5s` and what happens")
            return None
        kinds = [kind for kind in EVENT_KINDS if kind in found]
        if "at" not in found:
            self.wrong(node, "the event says not when: write `at: 5s`")
        if not kinds:
            if len(found) == len(node.value):  # else a key is wrong, and reported already
                self.wrong(node, f"the event says not what happens: one of {', '.join(EVENT_KINDS)}")
            return None
        for kind in kinds[1:]:
            self.wrong(
                found[kind], f"an event is one thing, this one is {kinds[0]!r} already: write another `- at: ...`"
            )
        at = self.of(found, "at", self.duration, 0)
        kind, what = kinds[0], found[kinds[0]]
        line = what.start_mark.line + 1
        if kind in ("cut", "heal"):
            names = self.pair(what, kind)
            return FileEvent(at, kind, names, line=line) if names else None
        readers = {"slow": self.slow, "cost": self.cost, "link": self.link, "clock": self.clock}
        readers["replace"] = self.replace
        if kind in readers:
            change = readers[kind](what)
            return None if change is None else change._replace(at=at, line=line)
        text = self.text(what, kind)
        if text is None:
            return None
        name, _, listed = text.partition("=") if kind == "join" else (text, "", "")
        components = tuple(dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))
        named = self.name(yaml.ScalarNode("", name.strip(), what.start_mark, what.end_mark), kind, check_ensemble_name)
        return None if named is None else FileEvent(at, kind, (named,), components, line=line)

    def pair(self, node: yaml.Node, key: str) -> tuple[str, ...]:
        """The two ends of a link; () after a mistake."""
        names = self.names(node, key, check_ensemble_name)
        if isinstance(node, yaml.SequenceNode) and len(names) == len(node.value):
            if len(names) == 2 and names[0] != names[1]:
                return tuple(names)
            self.wrong(node, f"a link is between two ensembles: write `{key}: [a, b]`")
        return ()

    def parts(
        self, node: yaml.Node, kind: EventKind, needed: tuple[str, ...], more: tuple[str, ...], example: str
    ) -> Any:
        """The fields of an event; none, if one that is needed is not there."""
        found = self.fields(node, f"`{kind}`", (*needed, *more))
        if not isinstance(node, yaml.MappingNode):
            return {}
        if any(field not in found for field in needed) or (more and not found.keys() & more):
            self.wrong(node, f"write `{kind}: {example}`")
            return {}
        return found

    def replace(self, node: yaml.Node) -> FileEvent | None:
        if isinstance(node, yaml.ScalarNode):
            program = self.text(node, "replace")
            return None if program is None else FileEvent(0, "replace", (), program=program)
        found = self.fields(node, "`replace`", ("program", "drop-state", "watch"))
        program = self.text(found["program"], "program") if "program" in found else None
        if program is None:
            self.wrong(node, "write `replace: prog2.py`, or `replace: {program: prog2.py, watch: 1s}`")
            return None
        drop = self.names(found["drop-state"], "drop-state", str) if "drop-state" in found else []
        watch = self.of(found, "watch", self.duration, WATCH)
        return FileEvent(0, "replace", (), program=program, drop_state=tuple(drop), watch=watch)

    def slow(self, node: yaml.Node) -> FileEvent | None:
        found = self.parts(node, "slow", ("ensemble", "factor"), (), "{ensemble: b, factor: 3}")
        if not found:
            return None
        factor = self.of(found, "factor", self.factor, Fraction(1))
        name = self.name(found["ensemble"], "ensemble", check_ensemble_name)
        return None if name is None else FileEvent(0, "slow", (name,), factor=factor)

    def cost(self, node: yaml.Node) -> FileEvent | None:
        found = self.parts(node, "cost", ("function", "time"), (), "{function: fuse, time: 20ms}")
        function = self.text(found["function"], "function") if found else None
        if function is None:
            return None
        time = self.of(found, "time", self.computed_duration, 1)
        if not time:
            self.wrong(found["time"], "a run takes a time above 0")
        return FileEvent(0, "cost", (), function=function, time=time)

    def link(self, node: yaml.Node) -> FileEvent | None:
        found = self.parts(node, "link", ("between",), LinkSpec._fields, "{between: [a, b], latency: 20ms}")
        names = self.pair(found["between"], "between") if found else ()
        if not names:
            return None
        changed = link_of(self, found)._asdict()
        return FileEvent(0, "link", names, link={field: changed[field] for field in LinkSpec._fields if field in found})

    def clock(self, node: yaml.Node) -> FileEvent | None:
        found = self.parts(node, "clock", ("ensemble",), ("step", "drift"), "{ensemble: b, step: 3ms, drift: 20ppm}")
        name = self.name(found["ensemble"], "ensemble", check_ensemble_name) if found else None
        if name is None:
            return None
        rate: Fraction | None = self.of(found, "drift", drift, Fraction(0)) if "drift" in found else None
        return FileEvent(0, "clock", (name,), clock=(self.of(found, "step", signed_duration, 0), rate))

    @staticmethod
    def factor(text: str) -> Fraction | str:
        found = number(text)
        if found is None or not Fraction(1, 10**6) <= found <= 10**6:
            return "a factor is a number such as 3 or 0.5, how many times as long bodies take"
        return found

    def could_happen(self, events: list[FileEvent], ensembles: list[str], manager: str) -> None:
        """Go through the events as they will happen, and find those that cannot."""
        there = dict.fromkeys(ensembles, True)  # whether it is alive
        there[manager] = True
        cuts: set[frozenset[str]] = set()
        for event in events:
            name = event.ensembles[0] if event.ensembles else ""
            if event.kind == "join":
                if name in there:
                    hint = "" if there[name] else f"; write `recover: {name}`"
                    self.impossible(event, f"there is an ensemble {name!r} already{hint}")
                there[name] = True
                continue
            for each in event.ensembles:
                if each not in there:
                    self.impossible(event, f"there is no ensemble {each!r} then", did_you_mean(each, there))
            if event.kind in ("fail", "recover") and name == manager:
                self.impossible(event, f"{name!r} is the manager's own ensemble, without which nothing is noticed")
            elif event.kind == "clock" and name == manager:
                self.impossible(event, f"the clock of {name!r}, the manager's own ensemble, is the root clock")
            elif event.kind == "fail" and not there.get(name, True):
                self.impossible(event, f"{name!r} has failed already")
            elif event.kind == "recover" and there.get(name):
                self.impossible(event, f"{name!r} has not failed")
            if event.kind in ("fail", "recover"):
                there[name] = event.kind == "recover"
            link = frozenset(event.ensembles)
            if event.kind == "cut":
                if link in cuts:
                    self.impossible(event, f"the link between {name!r} and {event.ensembles[1]!r} is cut already")
                cuts.add(link)
            elif event.kind == "heal":
                if link not in cuts:
                    self.impossible(event, f"the link between {name!r} and {event.ensembles[1]!r} is not cut")
                cuts.discard(link)

    def impossible(self, event: FileEvent, what: str, hint: str = "") -> None:
        self.mistakes.add((event.line, f"{what}; {hint}" if hint else what))
