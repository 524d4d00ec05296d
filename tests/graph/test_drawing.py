"""Drawings: properties of every picture, for any graph."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from itertools import combinations, pairwise
from typing import NamedTuple

import pytest

from ticktalk import compile_program, printable
from ticktalk.durations import duration_text
from ticktalk.graph.drawing import draw
from ticktalk.graph.drawing.captions import caption, constant_text
from ticktalk.graph.drawing.hosts import COLOURS
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTArc, TTConstraintSpec, TTDestination, TTInput, TTPort
from ticktalk.language.compiler import compile_source

SVG = "{http://www.w3.org/2000/svg}"
NASTY = 'a<b>&"c\\"]|{}%%`#\'\n\x00\ud800é中'


class Rectangle(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Rectangle) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def contains(self, other: Rectangle) -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and self.x + self.width >= other.x + other.width
            and self.y + self.height >= other.y + other.height
        )


class Picture:
    """An SVG, parsed."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        self.sqs = {g.get("data-sq"): _rectangle(g) for g in self._groups("sq")}
        self.hosts = {g.get("data-host"): _rectangle(g) for g in self._groups("host")}
        self.pills = [_rectangle(g) for kind in ("input", "output") for g in self._groups(kind)]
        self.arcs = [path for path in self.root.iter(SVG + "path") if path.get("class", "").startswith("arc")]

    def _groups(self, kind: str) -> list[ElementTree.Element]:
        return [g for g in self.root.iter(SVG + "g") if g.get("class") == kind]

    def texts(self) -> list[str]:
        return [element.text or "" for element in self.root.iter(SVG + "text")]

    def tooltips(self) -> list[str]:
        return [element.text or "" for element in self.root.iter(SVG + "title")]

    def joins(self) -> list[tuple[str | None, str | None, str | None]]:
        return [(path.get("data-from"), path.get("data-to"), path.get("data-port")) for path in self.arcs]


def _rectangle(group: ElementTree.Element) -> Rectangle:
    rect = group.find(SVG + "rect")
    assert rect is not None
    return Rectangle(*(float(rect.get(name, "nan")) for name in ("x", "y", "width", "height")))


def straight_runs(path: str) -> list[tuple[float, float, float]]:
    """The horizontal parts of a path: from x, to x, y."""
    x = y = 0.0
    runs = []
    for letter, numbers in re.findall(r"([MHC])([-\d. ]+)", path):
        values = [float(number) for number in numbers.split()]
        if letter == "H":
            runs.append((x, values[0], y))
            x = values[0]
        else:
            x, y = values[-2:]
    return runs


def random_graph(seed: int, size: int = 40, hosts: int = 0) -> TTGraph:
    """SQs that use the outputs of earlier ones, mostly of near ones."""
    pick = random.Random(seed)
    inputs = [TTInput(f"in{k}") for k in range(pick.randint(1, 3))]
    sqs: list[TTSQ] = []
    for k in range(size):
        name = f"sq-{k}"
        ports = []
        for index in range(pick.randint(1, 4)):
            if pick.random() < 0.2:
                ports.append(TTPort(f"p{index}", constant=[k]))
                continue
            ports.append(TTPort(f"p{index}", sticky=pick.random() < 0.2))
            if not sqs or pick.random() < 0.1:
                pick.choice(inputs).to.append(TTDestination(name, index))
            else:
                source = sqs[max(0, len(sqs) - 1 - int(pick.expovariate(0.2)))]
                pick.choice(source.arcs).to.append(TTDestination(name, index))
        constraints = []
        if hosts and pick.random() < 0.8:
            constraints.append(TTConstraintSpec([f"host-{pick.randrange(hosts)}"]))
        arcs = [TTArc(f"v{k}_{index}") for index in range(pick.randint(1, 2))]
        made = TTSQ(name, "work", body=True, ports=ports, arcs=arcs, constraints=constraints)
        made.stream = pick.random() < 0.4
        if made.stream and pick.random() < 0.3:
            made.trigger, made.period, made.width = "grid", pick.choice((1000, 250_000)), 500
        sqs.append(made)
    for sq in sqs:
        for arc in sq.arcs:
            arc.output = not arc.to
    if size > 12:
        sqs[size // 3].trigger = "plan_b"
        sqs[size // 2].plan_b = sqs[size // 3].name
    return TTGraph("random", inputs=inputs, sqs=sqs)


def joins_of(graph: TTGraph) -> list[tuple[str, str, str]]:
    """Every arc to a port: from, to, port."""
    return [(source.name, to.sq, str(to.port)) for source in graph.inputs for to in source.to] + [
        (sq.name, to.sq, str(to.port)) for sq in graph.sqs for arc in sq.arcs for to in arc.to
    ]


@pytest.mark.parametrize("hosts", [0, 1, 4, 11])
@pytest.mark.parametrize("seed", range(12))
def test_every_box_has_its_place_and_no_wire_runs_through_one(seed: int, hosts: int) -> None:
    graph = random_graph(seed, 5 + 4 * seed, hosts)
    picture = Picture(draw(graph, "svg"))
    assert sorted(picture.sqs) == sorted(sq.name for sq in graph.sqs)
    outputs = len(graph.outputs())
    assert len(picture.pills) == len(graph.inputs) + outputs

    boxes = [*picture.sqs.values(), *picture.pills]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    width, height = float(picture.root.get("width", "0")), float(picture.root.get("height", "0"))
    assert picture.root.get("viewBox") == f"0 0 {width:g} {height:g}"
    page = Rectangle(-28, -72, width, height)
    assert all(page.contains(box) for box in [*boxes, *picture.hosts.values()])

    found = [join for join in picture.joins() if join[2] != "-1"]
    assert sorted(found) == sorted(joins_of(graph))
    plan_bs = sum(sq.plan_b is not None for sq in graph.sqs)
    assert len(picture.arcs) == len(found) + outputs + plan_bs

    for path in picture.arcs:
        for start, end, y in straight_runs(path.get("d", "")):
            inside = [box for box in boxes if box.y < y < box.y + box.height]
            assert not [box for box in inside if start < box.x + box.width - 0.2 and box.x + 0.2 < end], path.attrib


@pytest.mark.parametrize("seed", range(8))
def test_hosts_are_rectangles_around_their_sqs_only(seed: int) -> None:
    graph = random_graph(seed, 30, hosts=4)
    picture = Picture(draw(graph, "svg"))
    assert not [pair for pair in combinations(picture.hosts.values(), 2) if pair[0].overlaps(pair[1])]
    for sq in graph.sqs:
        own = sq.constraints[0].names[0] if sq.constraints else None
        for host, frame in picture.hosts.items():
            box = picture.sqs[sq.name]
            assert frame.contains(box) if host == own else not frame.overlaps(box), (sq.name, host)


@pytest.mark.parametrize("seed", range(4))
def test_wires_go_to_the_right_and_end_at_the_box(seed: int) -> None:
    graph = random_graph(seed, 30, hosts=3)
    picture = Picture(draw(graph, "svg"))
    for path in picture.arcs:
        runs = straight_runs(path.get("d", ""))
        assert all(start <= end for start, end, _ in runs)
        assert all(a[1] <= b[0] + 0.1 for a, b in pairwise(runs))
        to = path.get("data-to")
        if path.get("data-port") != "-1":
            box = picture.sqs[to]
            assert box.x - 5 < runs[-1][1] <= box.x
            assert box.y < runs[-1][2] < box.y + box.height


def deadline_graph() -> TTGraph:
    """A stream with a tag, a deadline on it with a plan B, and constants, sticky ports and constraints."""
    camera = TTConstraintSpec(["rsu"], ["camera"])
    edge = TTConstraintSpec(["edge", "cloud"])
    return TTGraph(
        "watch",
        inputs=[TTInput("trigger", [TTDestination("capture-1", 0)])],
        sqs=[
            TTSQ(
                "capture-1", "capture", 12, True, [TTPort("trigger", sticky=True)],
                [
                    TTArc("limit", "tag", to=[TTDestination("ADD-1", 0)]),
                    TTArc("frame", to=[TTDestination("detect-1", 0)]),
                ],
                trigger="grid", stream=True, period=500_000, phase=20_000, width=100_000, constraints=[camera],
            ),
            TTSQ(
                "detect-1", "detect", 14, True, [TTPort("frame")], [TTArc("seen", to=[TTDestination("late-1", 0)])],
                stream=True, stateful=True, order="forward", parameters={"model": "small"},
                constraints=[TTConstraintSpec(components=["gpu"])],
            ),
            TTSQ("ADD-1", "ADD", 15, False, [TTPort("0"), TTPort("1", constant=[10])],
                 [TTArc("", to=[TTDestination("late-1", 1)])], stream=True),
            TTSQ("nothing-1", "nothing", 16, True, trigger="plan_b", constraints=[edge]),
            TTSQ("late-1", "TTFinishByOtherwise", 16, False, [TTPort("data"), TTPort("deadline")],
                 [TTArc("safe", output=True)], stream=True, trigger="deadline", plan_b="nothing-1", constraints=[edge]),
        ],
    )  # fmt: skip


def test_a_picture_shows_the_settings_of_an_sq() -> None:
    graph = deadline_graph()
    picture = Picture(draw(graph, "svg"))
    texts = picture.texts()
    for said in (
        "watch", "trigger", "capture-1", "capture()", "TimedRetrigger", "every 500ms, phase 20ms, 100ms wide",
        "on: rsu", "needs: camera", "limit", "frame", "SequentialRetrigger", "keeps state", "model = 'small'",
        "needs: gpu", "ADD", "b = 10", "plan B", "on: edge | cloud", "Deadline", "safe",
        "sticky port: keeps its last token",
    ):  # fmt: skip
        assert said in texts, said
    assert set(picture.hosts) == {"rsu", "needs gpu", "edge | cloud"}
    tags = [path for path in picture.arcs if path.get("class") == "arc tag"]
    assert [path.get("data-to") for path in tags] == ["ADD-1"]
    assert tags[0].get("stroke-dasharray")
    assert [(p.get("data-from"), p.get("data-to")) for p in picture.arcs if p.get("class") == "arc plan-b"] == [
        ("nothing-1", "late-1")
    ]


def test_a_resampling_shows_how_long_a_gap_it_fills() -> None:
    text = "from ticktalk import *\n@STREAMify\ndef s1(t): return 1\n@GRAPHify\ndef main(t):\n    return "
    text += "RESAMPLE(s1(t, TTPeriod=ms(30)), TTPeriod=ms(100), order=1, TTMaxGap=s(5))\n"
    drawn = draw(compile_source(text, "prog.py", "prog"), "mmd")
    assert "order = 1" in drawn and "fills at most 5s" in drawn and "5000000" not in drawn


def test_a_mapping_makes_the_groups() -> None:
    graph = deadline_graph()
    picture = Picture(draw(graph, "svg", {"capture-1": "rsu", "detect-1": "rsu", "ADD-1": "edge"}))
    assert set(picture.hosts) == {"rsu", "edge"}
    assert picture.hosts["rsu"].contains(picture.sqs["detect-1"])
    assert not any(frame.overlaps(picture.sqs["late-1"]) for frame in picture.hosts.values())
    assert 'label="edge"' in draw(graph, "dot", {"ADD-1": "edge"})
    assert 'host0["edge"]' in draw(graph, "mmd", {"ADD-1": "edge"})


def test_a_plan_b_after_its_deadline_is_linked_too() -> None:
    graph = deadline_graph()
    late = graph.sq("late-1")
    late.plan_b = "after-1"
    graph.sqs.append(TTSQ("after-1", "after", body=True, ports=[TTPort("x")], trigger="plan_b"))
    late.arcs[0].to.append(TTDestination("after-1", 0))
    picture = Picture(draw(graph, "svg"))
    assert ("after-1", "late-1", "-1") in picture.joins()


@pytest.mark.parametrize(
    ("constraints", "host"),
    [
        ([], None),
        ([TTConstraintSpec(["a", "b"])], "a | b"),
        ([TTConstraintSpec(["a", "b"]), TTConstraintSpec(["b", "c"], ["gpu"])], "b"),
        ([TTConstraintSpec(["a"]), TTConstraintSpec(["b"])], "a & b"),
        ([TTConstraintSpec(components=["camera"]), TTConstraintSpec(components=["gpu"])], "needs camera, gpu"),
    ],
)
def test_constraints_make_groups(constraints: list[TTConstraintSpec], host: str | None) -> None:
    graph = TTGraph("g", sqs=[TTSQ("f-1", "f", constraints=constraints)])
    assert list(Picture(draw(graph, "svg")).hosts) == ([] if host is None else [host])


def nasty_graph() -> TTGraph:
    return TTGraph(
        NASTY,
        inputs=[TTInput(NASTY, [TTDestination(NASTY, 0)])],
        sqs=[
            TTSQ(
                NASTY, NASTY, 1, True, [TTPort(NASTY), TTPort("s", constant=[NASTY])],
                [TTArc(NASTY, to=[TTDestination("g-1", 0)], output=True)],
                parameters={"text": NASTY}, constraints=[TTConstraintSpec([NASTY], [NASTY])],
            ),
            TTSQ("g-1", "g", ports=[TTPort("0")], arcs=[TTArc(output=True)]),
        ],
    )  # fmt: skip


def test_any_name_can_be_drawn() -> None:
    graph = nasty_graph()
    text = draw(graph, "svg")
    picture = Picture(text)
    text.encode()
    shown = printable.line(NASTY)
    assert shown == 'a<b>&"c\\"]|{}%%`#\'\\n\\x00\\ud800é中'
    assert set(picture.sqs) == {shown, "g-1"}
    assert list(picture.hosts) == [shown]
    assert (shown, "g-1", "0") in picture.joins()
    assert shown in picture.texts()
    assert any(tip.startswith(shown) for tip in picture.tooltips())


def test_dot_is_balanced_and_escaped() -> None:
    for graph in (nasty_graph(), deadline_graph(), random_graph(1, 30, 3), TTGraph("empty")):
        text = draw(graph, "dot")
        text.encode()
        strings = r'"(?:[^"\\]|\\.)*"'
        labels = re.findall(r"label=<(<TABLE.*</TABLE>)>\]", text)
        assert len(labels) == len(graph.sqs)
        for label in labels:
            ElementTree.fromstring(label)
        rest = re.sub(strings, "", re.sub(r"label=<<TABLE.*</TABLE>>\]", "]", text))
        assert '"' not in rest
        for opening, closing in ("{}", "[]"):
            assert rest.count(opening) == rest.count(closing)
        edges = re.findall(r"(\w+) -> (\w+)(?::p(\d+))?", rest)
        to_ports = [edge for edge in edges if edge[2]]
        assert len(to_ports) == len(joins_of(graph))
        nodes = set(re.findall(r"^ +(\w+) \[", rest, re.M))
        assert {end for edge in edges for end in edge[:2]} <= nodes


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("make", [nasty_graph, deadline_graph, lambda: random_graph(1, 30, 3)])
def test_graphviz_reads_it(make: Callable[[], TTGraph]) -> None:
    graph = make()
    done = subprocess.run(["dot", "-Tplain"], input=draw(graph, "dot"), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert not done.stderr


def test_dot_shows_hosts_tags_and_plan_b() -> None:
    text = draw(deadline_graph(), "dot")
    assert 'label="edge | cloud"' in text
    assert 'sq0 -> sq2:p0:w [label="limit", style=dashed]' in text
    assert 'sq3 -> sq4 [label="plan B", style=dotted' in text


def test_mermaid_has_one_statement_a_line_and_nothing_unescaped() -> None:
    text = draw(nasty_graph(), "mmd")
    text.encode()
    lines = text.splitlines()
    assert lines[0] == "flowchart LR"
    assert all(line.count('"') in (0, 2, 4) for line in lines)
    for label in re.findall(r'"([^"]*)"', text):
        plain = re.sub(r"</?b>|<br>|#\d+;", "", label)
        assert not set(plain) & set('"#&<>`%\\')
    for graph in (deadline_graph(), random_graph(2, 30, 3)):
        text = draw(graph, "mmd")
        arrows = re.findall(r"^  \w+ (?:-->|==>|-\.->)(?:\|\"[^\"]*\"\|)? \w+", text, re.M)
        plan_bs = sum(sq.plan_b is not None for sq in graph.sqs)
        assert len(arrows) == len(joins_of(graph)) + len(graph.outputs()) + plan_bs
        assert text.count("subgraph") == len(re.findall(r"^  end$", text, re.M))
    assert 'sq3 -.->|"plan B"| sq4' in draw(deadline_graph(), "mmd")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("make", [deadline_graph, lambda: random_graph(3, hosts=3)])
def test_a_dark_theme_has_a_colour_for_each_and_can_be_read(make: Callable[[], TTGraph]) -> None:
    picture = draw(make(), "svg")
    root = ElementTree.fromstring(picture)
    style = root.find(f"{SVG}style").text
    assert root.get("class") == "ticktalk" and style.startswith("@media (prefers-color-scheme: dark){")
    dark = dict(re.findall(r'\.ticktalk \[fill="(#\w{6})"\]\{fill:(#\w{6})\}', style))
    assert dark == dict(re.findall(r'\.ticktalk \[stroke="(#\w{6})"\]\{stroke:(#\w{6})\}', style))
    used = {each.get(paint) for each in root.iter() for paint in ("fill", "stroke")} - {None, "none"}
    assert used - dark.keys() <= set(COLOURS)
    texts = {each.get("fill") for each in root.iter(f"{SVG}text")} - {"#ffffff"}
    assert all(contrast(dark[colour], dark["#ffffff"]) > 4.5 for colour in texts)
    assert contrast(dark["#ffffff"], dark["#243b53"]) > 4.5  # the names of outputs


def test_an_empty_graph_is_a_picture_too() -> None:
    picture = Picture(draw(TTGraph("empty", inputs=[TTInput("unused")]), "svg"))
    assert not picture.sqs
    assert len(picture.pills) == 1
    draw(TTGraph("nothing"), "svg")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="'svg', 'dot' or 'mmd'"):
        draw(TTGraph("g"), "png")  # type: ignore[arg-type]


def chain(length: int) -> TTGraph:
    """A chain whose SQs all get the graph's input too, and whose last one gets every tenth result."""
    names = [f"f-{k}" for k in range(length)]
    sqs = [
        TTSQ(name, "f", ports=[TTPort("a"), TTPort("b")], arcs=[TTArc(f"x{k}", to=[TTDestination(names[k + 1], 0)])])
        for k, name in enumerate(names[:-1])
    ]
    sqs.append(TTSQ(names[-1], "LIST", ports=[TTPort(str(k)) for k in range(length)], arcs=[TTArc(output=True)]))
    for k in range(0, length - 2, 10):
        sqs[k].arcs[0].to.append(TTDestination(names[-1], k + 1))
    return TTGraph("chain", inputs=[TTInput("trigger", [TTDestination(name, 1) for name in names[:-1]])], sqs=sqs)


def test_a_long_chain_takes_no_recursion_and_little_time() -> None:
    graph = chain(400)
    start = time.process_time()
    picture = Picture(draw(graph, "svg"))
    assert time.process_time() - start < 5
    assert len(picture.sqs) == 400
    assert sorted(join for join in picture.joins() if join[2] != "-1") == sorted(joins_of(graph))


def test_drawing_is_the_same_every_time() -> None:
    assert draw(random_graph(3, 40, 3), "svg") == draw(random_graph(3, 40, 3), "svg")


@pytest.mark.parametrize(
    ("ticks", "text"),
    [
        (0, "0s"), (1, "1us"), (20, "20us"), (1_500, "1.5ms"), (500_000, "500ms"), (1_000_000, "1s"),
        (1_234_567, "1234.567ms"), (1_250_000, "1.25s"), (60_000_000, "1min"), (90_000_000, "90s"),
        (7_200_000_000, "2h"), (-500_000, "-500ms"),
    ],
)  # fmt: skip
def test_durations_are_readable(ticks: int, text: str) -> None:
    assert duration_text(ticks) == text


def test_constants_are_written_as_python_does() -> None:
    assert constant_text({"tuple": [1, "a"]}) == "(1, 'a')"
    assert constant_text("x" * 100) == "'" + "x" * 26 + "…"
    assert constant_text({"int": hex(10**5000)}) == "<int>"
    listing = TTSQ("LIST-1", "LIST", ports=[TTPort("0", constant=[3])])
    assert [port.text for port in caption(listing).ports] == ["[0] = 3"]


def test_a_notebook_shows_the_picture_of_a_graph(tmp_path):
    source = "from ticktalk import *\n@GRAPHify\ndef main(x):\n    return x + 1\n"
    (tmp_path / "prog.py").write_text(source)
    graph = compile_program(tmp_path / "prog.py")
    assert graph._repr_svg_() == draw(graph, "svg")
