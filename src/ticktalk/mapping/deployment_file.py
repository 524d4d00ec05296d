"""The deployment file: the ensembles and links on which a program runs, and the costs of its functions. YAML:

    ensembles:
      - name: rsu
        components: [camera]
        speed: 4            # times the reference; default 1
        cores: 2            # default 1
        memory: 512MB       # default: enough
        modules: [numpy]    # importable beside the standard library; default: all
        clock: {offset: 3ms, drift: 20ppm}   # (simulation) ahead of the manager's; default: neither
    links:
      - default: {latency: 5ms, bandwidth: 10Mbit/s}
      - between: [rsu, car]
        latency: 1ms        # default 0
        bandwidth: 1MB/s    # default: without limit
        jitter: 5ms         # (simulation, as the next ones) so much more than the latency at most; default 0
        distribution: normal    # of the jitter: uniform or normal; default uniform
        loss: 1%            # of the tokens; default 0
        duplicate: 1%       # of the tokens come twice
        reorder: 5%         # of the tokens go past those under way, without the latency; else a link keeps order
    costs:
      fuse: {time: 6ms, bytes: 2kB, memory: 10MB}   # a run on the reference, an output token, an instance

Between two ensembles for which no link is given, and no default, tokens take no time. Everything is checked, and all
mistakes are reported at once, each on a line that begins with FILE:LINE.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import yaml

from ticktalk.mapping.ensembles import EnsembleInfo, check_ensemble_name
from ticktalk.source_problems import did_you_mean
from ticktalk.yaml_file import SIZES, YamlFile, number, read_text, size, with_unit

BITS = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Kibit": 2**10, "Mibit": 2**20, "Gibit": 2**30}
BANDWIDTHS = {f"{unit}/s": Fraction(bytes_) for unit, bytes_ in SIZES.items()}
BANDWIDTHS |= {f"{unit}/s": Fraction(bits, 8) for unit, bits in BITS.items()}


class Spread(enum.Enum):
    """The spread of jitter between nothing and its most."""

    UNIFORM = "uniform"
    NORMAL = "normal"


class ClockSpec(NamedTuple):
    """The error of an ensemble's root clock, in simulation: it remains although the clock follows the manager's.

    Attributes:
        offset: microseconds by which it is ahead of the manager's at the start.
        drift: microseconds by which it gets further ahead, in a million.
    """

    offset: int = 0
    drift: Fraction = Fraction(0)


class EnsembleSpec(NamedTuple):
    """An ensemble of the file.

    `speed` is relative to the reference; `memory` in bytes, None: enough for anything; `modules` the Python modules
    that it can import beside the standard library, None: unknown.
    """

    name: str
    components: tuple[str, ...] = ()
    speed: Fraction = Fraction(1)
    cores: int = 1
    memory: int | None = None
    modules: tuple[str, ...] | None = None
    clock: ClockSpec = ClockSpec()

    def info(self) -> EnsembleInfo:
        """The description that such an ensemble gives when it joins."""
        # An empty list would mean: unknown.
        modules = [] if self.modules is None else ["builtins", *self.modules]
        return EnsembleInfo(self.name, self.name, list(self.components), self.cores, self.memory or 0, modules=modules)


class LinkSpec(NamedTuple):
    """A link between two ensembles, the same in both directions.

    Attributes:
        latency: microseconds.
        bandwidth: bytes a second; None: any.
        jitter: microseconds that a token takes more than the latency, at most; `distribution`: how they are spread.
        loss, duplicate, reorder: the share of tokens that are lost, come twice, go past those under way.
    """

    latency: int = 0
    bandwidth: Fraction | None = None
    jitter: int = 0
    distribution: Spread = Spread.UNIFORM
    loss: Fraction = Fraction(0)
    duplicate: Fraction = Fraction(0)
    reorder: Fraction = Fraction(0)

    @property
    def by_chance(self) -> bool:
        """True if the way of a token depends on chance."""
        return bool(self.jitter or self.loss or self.duplicate or self.reorder)

    def transfer(self, size: int) -> int:
        """Microseconds that a token of `size` bytes takes, rounded up."""
        if self.bandwidth is None or not size:
            return self.latency
        return self.latency - (-size * 1_000_000 * self.bandwidth.denominator // self.bandwidth.numerator)


class CostSpec(NamedTuple):
    """The costs of an SQ of a function: us of a run on the reference, bytes of an output token, bytes of an instance.

    None: not given; it counts as 0 where nothing is measured.
    """

    time: int | None = None
    bytes: int | None = None
    memory: int | None = None


class DeploymentFile(NamedTuple):
    """A deployment file that was read.

    Attributes:
        file: its name, for messages.
        ensembles: in the order of the file.
        links: by the two names in alphabetical order.
        default: the link of all other pairs.
        costs: by function name.
        cost_lines: the line at which each function's costs are.
    """

    file: str
    ensembles: tuple[EnsembleSpec, ...]
    links: dict[tuple[str, str], LinkSpec] = {}
    default: LinkSpec = LinkSpec()
    costs: dict[str, CostSpec] = {}
    cost_lines: dict[str, int] = {}

    def link(self, one: str, other: str) -> LinkSpec:
        """The link between two ensembles."""
        return self.links.get((min(one, other), max(one, other)), self.default)

    def doubts(self, functions: Iterable[str], bodies: Iterable[str]) -> list[str]:
        """Probable mistakes: costs of functions that the graph does not use, bodies without costs.

        Args:
            functions: every function, instruction and primitive of the graph.
            bodies: the functions that the program defines.
        """
        used = set(functions)
        found = []
        for name, line in self.cost_lines.items():
            if name not in used:
                hint = did_you_mean(name, used)
                found.append(f"{self.file}:{line}: the graph has no function {name!r}" + (f"; {hint}" if hint else ""))
        free = sorted(set(bodies) - self.costs.keys())
        if free:
            found.append(f"{self.file}: no costs are given for {', '.join(free)}: counted as 0")
        return found


def read_deployment(path: str | Path) -> DeploymentFile:
    """Read a deployment file.

    Raises:
        TTError: it cannot be read, or is not valid: a line for each mistake.
    """
    return parse_deployment(read_text(path, "deployment file"), str(path))


def parse_deployment(text: str, file: str = "deployment") -> DeploymentFile:
    """As `read_deployment`, of the file's text; `file` is its name for messages."""
    reader = _Reader(file)
    deployment = reader.document(reader.compose(text))
    reader.check()
    return deployment


class _Reader(YamlFile):
    def __init__(self, file: str) -> None:
        super().__init__(file, "deployment file")
        self.ensembles: dict[str, EnsembleSpec] = {}
        self.links: dict[tuple[str, str], LinkSpec] = {}
        self.default: LinkSpec | None = None

    def document(self, root: yaml.Node | None) -> DeploymentFile:
        if root is None:
            self.mistakes.add((1, "the file is empty: give at least `ensembles:` with a name each"))
            return DeploymentFile(self.file, ())
        found = self.fields(root, "a deployment file", ("ensembles", "links", "costs"))
        if "ensembles" in found:
            for node in self.sequence(found["ensembles"], "ensembles"):
                self.ensemble(node)
            if not self.ensembles and not self.mistakes:
                self.wrong(found["ensembles"], "there is no ensemble: give at least one `- name: ...`")
        elif isinstance(root, yaml.MappingNode):
            self.wrong(root, "`ensembles` is missing: give at least one `- name: ...`")
        if "links" in found:
            listed = found["links"]
            # The default link alone needs no list.
            for node in [listed] if isinstance(listed, yaml.MappingNode) else self.sequence(listed, "links"):
                self.link(node)
        costs: dict[str, CostSpec] = {}
        lines: dict[str, int] = {}
        if "costs" in found:
            for key, name, value in self.pairs(found["costs"], "costs"):
                costs[name] = self.cost(value, name)
                lines[name] = key.start_mark.line + 1
        default = self.default or LinkSpec()
        return DeploymentFile(self.file, tuple(self.ensembles.values()), self.links, default, costs, lines)

    def ensemble(self, node: yaml.Node) -> None:
        found = self.fields(node, "an ensemble", EnsembleSpec._fields)
        if "name" not in found:
            if isinstance(node, yaml.MappingNode):
                self.wrong(node, "an ensemble has a `name`")
            return
        name = self.name(found["name"], "name", check_ensemble_name)
        if name is None:
            return
        if name in self.ensembles:
            self.wrong(found["name"], f"ensemble {name!r} is there twice")
            return
        components = self.names(found["components"], "components", str) if "components" in found else []
        self.ensembles[name] = EnsembleSpec(
            name,
            tuple(dict.fromkeys(components)),
            self.of(found, "speed", self.speed, Fraction(1)),
            self.of(found, "cores", self.cores, 1),
            self.of(found, "memory", size, None),
            self.modules(found["modules"]) if "modules" in found else None,
            clock(self, found["clock"]) if "clock" in found else ClockSpec(),
        )

    def modules(self, node: yaml.Node) -> tuple[str, ...]:
        names = dict.fromkeys(self.names(node, "modules", str))
        for name in names:
            if not name.isidentifier():
                self.wrong(node, f"`modules`: {name!r} is no top-level module, such as numpy")
        return tuple(names)

    def link(self, node: yaml.Node) -> None:
        found = self.fields(node, "a link", ("between", "default", *LinkSpec._fields))
        if not found:
            return
        inner = found.get("default")
        if isinstance(inner, yaml.MappingNode):
            found = {**self.fields(inner, "a link", LinkSpec._fields), **found}
        link = link_of(self, found)
        between = found.get("between")
        # `default` is a key beside latency and bandwidth, or above them, or stands in place of the two names.
        if isinstance(between, yaml.ScalarNode) and between.value == "default" and inner is None:
            inner, between = between, None
        if isinstance(inner, yaml.SequenceNode) or (
            isinstance(inner, yaml.ScalarNode) and inner.value.lower() not in ("", "~", "null", "true", "default")
        ):
            self.wrong(inner, "write `default: {latency: ..., bandwidth: ...}`")
        if (between is None) == (inner is None):
            self.wrong(node, "a link is either `between: [a, b]` or `default`")
        elif inner is not None:
            if self.default is not None:
                self.wrong(inner, "the default link is there twice")
            self.default = link
        elif between is not None:
            self.between(between, link)

    def between(self, node: yaml.Node, link: LinkSpec) -> None:
        names = self.names(node, "between", check_ensemble_name)
        if not isinstance(node, yaml.SequenceNode) or len(names) < len(node.value):
            return  # reported already
        if len(names) != 2 or names[0] == names[1]:
            self.wrong(node, "a link is between two ensembles: write `between: [a, b]`")
            return
        for name in names:
            if name not in self.ensembles:
                self.wrong(node, f"there is no ensemble {name!r}", did_you_mean(name, self.ensembles))
        pair = (min(names), max(names))
        if pair in self.links:
            self.wrong(node, f"the link between {pair[0]!r} and {pair[1]!r} is there twice")
        self.links[pair] = link

    def cost(self, node: yaml.Node, name: str) -> CostSpec:
        found = self.fields(node, f"the costs of {name}", CostSpec._fields)
        return CostSpec(
            self.of(found, "time", self.computed_duration, None),
            self.of(found, "bytes", size, None),
            self.of(found, "memory", size, None),
        )

    # Readers of values.

    @staticmethod
    def speed(text: str) -> Fraction | str:
        found = number(text)
        if found is None or not Fraction(1, 10**6) <= found <= 10**6:
            return "a speed is a number such as 1 or 0.5, how many times as fast as the reference"
        return found

    @staticmethod
    def cores(text: str) -> int | str:
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) == 0:
            return "a number of cores is a whole number, at least 1"
        return int(text)


# Parts that a file of events has, too.


def clock(reader: YamlFile, node: yaml.Node) -> ClockSpec:
    """The error of a clock; mistakes go to `reader`."""
    found = reader.fields(node, "a clock", ClockSpec._fields)
    return ClockSpec(reader.of(found, "offset", signed_duration, 0), reader.of(found, "drift", drift, Fraction(0)))


def link_of(reader: YamlFile, found: dict[str, yaml.Node]) -> LinkSpec:
    """A link by the nodes of its fields; a field that is not among them has its default. Mistakes go to `reader`."""
    default = LinkSpec()
    return LinkSpec(
        reader.of(found, "latency", reader.computed_duration, default.latency),
        reader.of(found, "bandwidth", bandwidth, default.bandwidth),
        reader.of(found, "jitter", reader.duration, default.jitter),
        reader.of(found, "distribution", _spread, default.distribution),
        *(reader.of(found, share, share_of, getattr(default, share)) for share in ("loss", "duplicate", "reorder")),
    )


def signed_duration(text: str) -> int | str:
    """A duration, or one with a minus before it."""
    found = YamlFile.duration(text.removeprefix("-").lstrip())
    return -found if isinstance(found, int) and text.startswith("-") else found


def drift(text: str) -> Fraction | str:
    """Microseconds in a million."""
    found = number(text.removeprefix("-").removesuffix("ppm").rstrip())
    if found is None or found > 100_000:
        return "a drift is a number of microseconds a second, at most 100000, such as 20ppm or -3.5ppm"
    return -found if text.startswith("-") else found


def bandwidth(text: str) -> Fraction | str | None:
    """Bytes a second."""
    found = with_unit(text, BANDWIDTHS)
    if found is None or found <= 0:
        return "a bandwidth is a number above 0 and a unit (bit/s, kbit/s, Mbit/s, Gbit/s, B/s, kB/s, MB/s, GB/s)"
    return found


def share_of(text: str) -> Fraction | str:
    """A share, from 0 to 1."""
    found = number(text.removesuffix("%").rstrip())
    if found is not None and text.endswith("%"):
        found /= 100
    if found is None or found > 1:
        return "a share of the tokens is a percentage such as 5%, or a number from 0 to 1"
    return found


def _spread(text: str) -> Spread | str:
    known = [spread.value for spread in Spread]
    return Spread(text) if text in known else f"jitter is spread in one of these ways: {', '.join(known)}"
