"""The deployment file: its entries, and every mistake with its line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from ticktalk.errors import TTError
from ticktalk.mapping.deployment_file import CostSpec, EnsembleSpec, LinkSpec, parse_deployment, read_deployment

GOOD = """\
ensembles:
  - name: edge
    components: [camera, gps]
  - {name: rsu, speed: 2.5, cores: 4, memory: 1GiB}
  - name: no
links:
  - between: [rsu, edge]
    latency: 1.5ms
    bandwidth: 10Mbit/s
  - default: {latency: 1min, bandwidth: 1MB/s}
costs:
  fuse: {time: 2s, bytes: 1.5kB, memory: 10 MB}
  step:
    time: 6ms
    bytes: 12
"""


def test_all_entries_are_read() -> None:
    deployment = parse_deployment(GOOD)
    assert deployment.ensembles == (
        EnsembleSpec("edge", ("camera", "gps")),
        EnsembleSpec("rsu", (), Fraction(5, 2), 4, 2**30),
        EnsembleSpec("no"),
    )
    assert deployment.link("edge", "rsu") == deployment.link("rsu", "edge") == LinkSpec(1_500, Fraction(1_250_000))
    assert deployment.link("no", "rsu") == LinkSpec(60_000_000, Fraction(1_000_000))
    assert deployment.costs == {"fuse": CostSpec(2_000_000, 1_500, 10_000_000), "step": CostSpec(6_000, 12)}


def test_a_transfer_takes_the_latency_and_bytes_by_bandwidth_rounded_up() -> None:
    assert LinkSpec(100, Fraction(1_250_000)).transfer(1_000) == 900
    assert LinkSpec(100, Fraction(3_000_000)).transfer(1_000) == 434
    assert LinkSpec(100).transfer(10**9) == LinkSpec(100, Fraction(1)).transfer(0) == 100


@pytest.mark.parametrize(
    "default",
    [
        "- default: {latency: 5ms}",
        "- between: default\n    latency: 5ms",
        "- default:\n    latency: 5ms",
        "- default: true\n    latency: 5ms",
        "default: {latency: 5ms}",
    ],
)
def test_ways_to_write_the_default(default: str) -> None:
    assert parse_deployment(f"ensembles: [name: a]\nlinks:\n  {default}\n").default == LinkSpec(5_000)


HEAD = "ensembles:\n  - name: a\n  - name: bb\n"
MISTAKES = {
    "": [(1, "the file is empty")],
    "links: []": [(1, "`ensembles` is missing")],
    "- a": [(1, "a deployment file is a mapping `key: value` with ensembles, links, costs, not a list")],
    "ensembles: []": [(1, "there is no ensemble")],
    "ensembles: {a: 1}": [(1, "`ensembles` is a list")],
    "ensembles:\n - name: a\n  - b: 2": [(3, "not YAML")],
    'ensembles:\n - name: a\n   x: "': [(3, "not YAML")],
    "ensembles: &a [*a]": [(1, "an ensemble is a mapping")],
    "ensembles:\n- name: a\n---\nx: 1": [(3, "not YAML")],
    "ensembles:\n- name: a\n- name: \x07": [(3, "not YAML")],
    "ensembles:\n - nam: a": [(2, "an ensemble has a `name`"), (2, "no key 'nam'; did you mean `name`?")],
    "ensembles:\n - name: a b\n - name:\n - name: [x]": [
        (2, "'a b' is no name for an ensemble"),
        (3, "`name` wants a value, not nothing"),
        (4, "`name` wants a value, not a list"),
    ],
    HEAD + "  - name: a": [(4, "ensemble 'a' is there twice")],
    HEAD + "    speed: 0\n    cores: 1.5\n    memory: 3Mb\n    components: camera": [
        (4, "`speed: 0`: a speed is a number"),
        (5, "`cores: 1.5`: a number of cores is a whole number"),
        (6, "`memory: 3Mb`: a size is a number and a unit"),
        (7, "`components` is a list such as [a, b], not 'camera'"),
    ],
    HEAD + "links:\n- between: [a, b]\n- between: [a, a]\n- between: a\n- latency: 1ms\n- x: 1": [
        (5, "there is no ensemble 'b'"),
        (6, "between two ensembles"),
        (7, "`between` is a list"),
        (8, "either `between: [a, b]` or `default`"),
        (9, "a link has no key 'x'"),
    ],
    HEAD + "links:\n- between: [a, bb]\n- between: [bb, a]\n- default: {}\n- default: {}\n- default: 5ms": [
        (6, "the link between 'a' and 'bb' is there twice"),
        (8, "the default link is there twice"),
        (9, "the default link is there twice"),
        (9, "write `default: {latency"),
    ],
    HEAD + "links:\n- default: {latency: 5, bandwidth: 3Mb}\n- between: [a, bb]\n  latency: 1.5us\n  bandwith: 1MB/s": [
        (5, "`latency: 5`: a duration is a number and a unit"),
        (5, "`bandwidth: 3Mb`: a bandwidth is a number"),
        (7, "no whole number of microseconds"),
        (8, "no key 'bandwith'; did you mean `bandwidth`?"),
    ],
    HEAD
    + "costs:\n  f: 5ms\n  f: {}\n  g:\n    tme: 5ms\n    bytes: .5\n    memory: -1\n    time: 900000h\n  [x]: 1": [
        (5, "the costs of f is a mapping"),
        (6, "key 'f' is there twice in costs"),
        (8, "the costs of g has no key 'tme'; did you mean `time`?"),
        (9, "no whole number of bytes"),
        (10, "`memory: -1`: a size is"),
        (11, "`time: 900000h`: too long: 305h at most"),
        (12, "a key is text, not a list"),
    ],
    HEAD + "    modules: numpy\n  - {name: c, modules: [a.b, 3]}": [
        (4, "`modules` is a list such as [a, b], not 'numpy'"),
        (5, "`modules`: 'a.b' is no top-level module, such as numpy"),
        (5, "'3' is no top-level module"),
    ],
    HEAD + "cost: {}": [(4, "no key 'cost'; did you mean `costs`?")],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_has_its_line(text: str) -> None:
    with pytest.raises(TTError) as error:
        parse_deployment(text, "d.yaml")
    lines = str(error.value).splitlines()
    assert len(lines) == len(MISTAKES[text]), lines
    for number, what in MISTAKES[text]:
        assert any(line.startswith(f"d.yaml:{number}: error: ") and what in line for line in lines), (what, lines)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 101 + "]" * 101, "{a: " * 101 + "}" * 101])
def test_a_file_nested_too_deeply_is_refused(text: str) -> None:
    """LibYAML before 0.2.6 (PyYAML before 6.0.4) overflowed the stack at 100,000, which ended the process."""
    with pytest.raises(TTError, match=r"d\.yaml:1: error: not a deployment file: nested too deeply"):
        parse_deployment(text, "d.yaml")


def test_a_file_within_the_depth_is_read() -> None:
    with pytest.raises(TTError, match=r"d\.yaml:1: error: .* is a mapping"):
        parse_deployment("[" * 100 + "]" * 100, "d.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TTError, match="cannot be read"):
        read_deployment(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"ensembles:\n- name: \xff\n")
    with pytest.raises(TTError, match=r"bad.yaml:2: error: not UTF-8"):
        read_deployment(bad)
    bad.write_text("\ufeff" + GOOD, encoding="utf-8")
    assert len(read_deployment(bad).ensembles) == 3


def test_probable_mistakes_are_reported() -> None:
    doubts = parse_deployment(GOOD, "d.yaml").doubts(["fuse", "steps", "ADD"], ["fuse", "steps"])
    assert doubts == [
        "d.yaml:13: the graph has no function 'step'; did you mean `steps`?",
        "d.yaml: no costs are given for steps: counted as 0",
    ]
