"""A graph as SVG, complete in itself: no script, no file beside it, only fonts that every system has.

Pages and tests can find its parts: each SQ is a `<g class="sq" data-sq="NAME">`, and each arc to a port one `<path
class="arc ..." data-from= data-to= data-port=>`.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from ticktalk import printable
from ticktalk.graph.drawing.captions import Caption, arc_label, caption, output_label, plan_b_links, shortened
from ticktalk.graph.drawing.dark import dark_style
from ticktalk.graph.drawing.hosts import colours_of
from ticktalk.graph.drawing.layout import Box, Lane, Point, Wire, place
from ticktalk.graph.sq import TTSQ, Nodes

FONT = "Arial, 'Liberation Sans', Helvetica, 'DejaVu Sans', sans-serif"
INK, SOFT, FAINT = "#1f2933", "#52606d", "#9aa5b1"
STREAM, SINGLE, PLAN_B = "#243b53", "#627d98", "#b3261e"

MARGIN = 28.0
TITLE = 44.0
NAME_SIZE, SMALL = 13.0, 11.0
ROW = 17.0  # of a port
LINE = 15.0  # of a remark
WIDEST = 250.0  # of a box
PILL = 26.0
WIDER = 1.2  # of the legend's text: without Arial, the font that is taken may be that much wider

# Widths of Arial's letters in thousandths of the size; all others are 560 wide.
_WIDTHS = {
    **dict.fromkeys("ijl'", 225),
    **dict.fromkeys(" ftI.,:;!/\\|[]", 285),
    **dict.fromkeys('()r-`{}"*°', 350),
    **dict.fromkeys("cksvxyzJ^", 505),
    **dict.fromkeys("ABEKPSVXY&", 670),
    **dict.fromkeys("CDHNRUw", 725),
    **dict.fromkeys("GOQ", 780),
    **dict.fromkeys("mMW%", 900),
    **dict.fromkeys("@…", 1010),
    **dict.fromkeys("+<=>~", 585),
}


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide `text` is set in the drawing's font, in pixels."""
    units = sum(
        _WIDTHS.get(c) or (1000 if unicodedata.east_asian_width(c) in "WF" else 700 if c.isupper() else 560)
        for c in text
    )
    return units / 1000 * size * (1.08 if bold else 1.0) * 1.03


class _Arc(NamedTuple):
    """A wire with its meaning: `style` is "stream", "single", "tag", "unmatched" or "plan-b"."""

    wire: Wire
    style: str
    label: str
    source: str
    ends: list[tuple[str, int]]  # the name of an SQ and the index of its port; or of an output, and -1


class _SQBox(NamedTuple):
    sq: TTSQ
    caption: Caption
    box: Box
    ports: list[float]  # how far below the top


def draw_svg(graph: Nodes, host: dict[str, str]) -> str:
    """`graph` as SVG; `host`: SQ name to its group."""
    scene = _Scene(graph, host)
    return scene.text()


class _Scene:
    def __init__(self, graph: Nodes, host: dict[str, str]) -> None:
        self.graph = graph
        self.host = host
        self.colours = colours_of(host)
        self.groups = list(self.colours)
        self.lanes = [Lane(framed=True) for _ in self.groups]
        self.lanes.append(Lane(framed=False))
        self.lane_of = {name: self.groups.index(group) for name, group in host.items()}
        self.boxes: list[Box] = []
        self.arcs: list[_Arc] = []
        self.inputs: list[tuple[str, Box]] = []
        self.outputs: list[tuple[str, Box]] = []
        self.sqs: dict[str, _SQBox] = {}
        self.kinds: set[str] = set()
        self._make_boxes()
        self._make_arcs()
        wires = [arc.wire for arc in self.arcs if arc.ends]
        self.width, self.height = place(self.boxes, wires, self.lanes)

    def _lane(self, sq: str) -> int:
        return self.lane_of.get(sq, len(self.groups))

    def _add(self, box: Box) -> int:
        self.boxes.append(box)
        return len(self.boxes) - 1

    def _make_boxes(self) -> None:
        for source in self.graph.inputs:
            label = shortened(printable.line(source.name), 30)
            lanes = [self._lane(to.sq) for to in source.to] or [len(self.groups)]
            lane = max(dict.fromkeys(lanes), key=lanes.count)
            box = Box(text_width(label, 12.5, True) + PILL, PILL, lane, "first")
            self._add(box)
            self.inputs.append((label, box))
        for sq in self.graph.sqs:
            made = _sq_box(sq, caption(sq), self._lane(sq.name))
            self.sqs[sq.name] = made
            self.kinds.update(port.kind for port in made.caption.ports if port.kind in ("sticky", "constant"))
            # A plan B reads best beside its deadline, however early it could fire.
            made.box.late = sq.trigger == "plan_b"
            self._add(made.box)

    def _make_arcs(self) -> None:
        index = {name: len(self.inputs) + k for k, name in enumerate(self.sqs)}
        for k, source in enumerate(self.graph.inputs):
            ends = [(to.sq, to.port) for to in source.to]
            self._wire(k, PILL / 2, ends, index, "single", "", source.name)
        for sq in self.graph.sqs:
            made = self.sqs[sq.name]
            for position, arc in enumerate(sq.arcs):
                ends = [(to.sq, to.port) for to in arc.to]
                style = arc.kind if arc.kind != "value" else "stream" if sq.stream else "single"
                leaves = _output_height(made, position)
                label = shortened(arc_label(arc), 22) if arc.to or arc_label(arc) else ""
                outputs = []
                if arc.output:
                    name = shortened(output_label(sq, arc), 30)
                    if not arc.to:
                        label = ""
                    box = Box(text_width(name, 12.5, True) + PILL, PILL, made.box.lane, "last")
                    outputs.append((self._add(box), PILL / 2))
                    self.outputs.append((name, box))
                    ends.append((name, -1))
                self._wire(index[sq.name], leaves, ends, index, style, label, sq.name, outputs)
        for plan_b, deadline in plan_b_links(self.graph):
            made = self.sqs[deadline.name]
            begin, end = index[plan_b.name], index[deadline.name]
            enters = made.ports[-1] + ROW if made.ports else made.box.height - ROW
            leaves = _output_height(self.sqs[plan_b.name], len(plan_b.arcs))
            if begin > end:
                # A plan B that uses later SQs stands right of its deadline, so the line goes there.
                begin, end = end, begin
                leaves, enters = enters, self.sqs[plan_b.name].box.height / 2
            wire = Wire(begin, leaves, [(end, enters)], text_width("plan B", SMALL) + 12)
            self.arcs.append(_Arc(wire, "plan-b", "plan B", plan_b.name, [(deadline.name, -1)]))
            self.kinds.add("plan-b")

    def _wire(
        self,
        source: int,
        leaves: float,
        ends: list[tuple[str, int]],
        index: dict[str, int],
        style: str,
        label: str,
        name: str,
        outputs: list[tuple[int, float]] | None = None,
    ) -> None:
        if not ends:
            return
        places = [(index[sq], self.sqs[sq].ports[port]) for sq, port in ends if port >= 0] + (outputs or [])
        width = text_width(label, SMALL) + 12 if label else 0.0
        self.arcs.append(_Arc(Wire(source, leaves, places, width), style, label, name, ends))
        self.kinds.add(style)

    def text(self) -> str:
        """The SVG file."""
        title = printable.line(self.graph.name)
        legend = _Legend(self.groups, self.colours, self.kinds, max(self.width, 620.0))
        width = round(max(self.width, legend.width, text_width(title, 18, True)) + 2 * MARGIN)
        top = MARGIN + TITLE
        height = round(top + self.height + 30 + legend.height + MARGIN)
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
            f' class="ticktalk" role="img" font-family="{escape(FONT)}">',
            f"<title>{escape(title)}</title>",
            dark_style(),
            "<defs>",
            *(_arrowhead(style, colour) for style, (colour, _, _) in _STROKES.items()),
            "</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            _text(MARGIN, MARGIN + 16, title, 18, INK, "font-weight='bold'"),
            f'<g transform="translate({_number(MARGIN)} {_number(top)})">',
            *self._host_frames(),
            *(line for arc in self.arcs for line in _arc_lines(arc)),
            *(line for label, box in self.inputs for line in _pill_lines(label, box, "input")),
            *(line for label, box in self.outputs for line in _pill_lines(label, box, "output")),
            *(line for made in self.sqs.values() for line in self._sq_lines(made)),
            "</g>",
            f'<g class="legend" transform="translate({_number(MARGIN)} {_number(top + self.height + 30)})">',
            *legend.lines,
            "</g>",
            "</svg>",
        ]
        return "\n".join(out) + "\n"

    def _host_frames(self) -> list[str]:
        out = []
        for group, lane in zip(self.groups, self.lanes, strict=False):
            if not lane.height:
                continue
            colour = self.colours[group]
            label = printable.line(group)
            out += [
                f'<g class="host" data-host={quoteattr(label)}>',
                f'<rect x="{_number(lane.x)}" y="{_number(lane.y)}" width="{_number(lane.width)}"'
                f' height="{_number(lane.height)}" rx="10" fill="{colour}" fill-opacity="0.11" stroke="{colour}"'
                f' stroke-opacity="0.75" stroke-width="1.2"/>',
                f'<circle cx="{_number(lane.x + 15)}" cy="{_number(lane.y + 15)}" r="4.5" fill="{colour}"/>',
                _text(
                    lane.x + 25, lane.y + 19, _fitted(label, 12, lane.width - 34, True), 12, INK, "font-weight='bold'"
                ),
                "</g>",
            ]
        return out

    def _sq_lines(self, made: _SQBox) -> list[str]:
        sq, shown, box = made.sq, made.caption, made.box
        group = self.host.get(sq.name)
        stroke = self.colours[group] if group is not None else SOFT
        dash = ' stroke-dasharray="5 3"' if sq.trigger == "plan_b" else ""
        room = box.width - 22
        out = [
            f'<g class="sq" data-sq={quoteattr(shown.name)}>',
            f"<title>{escape(_tooltip(sq, shown))}</title>",
            f'<rect class="box" x="{_number(box.x)}" y="{_number(box.y)}" width="{_number(box.width)}"'
            f' height="{_number(box.height)}" rx="6" fill="#ffffff" stroke="{stroke}" stroke-width="1.4"{dash}/>',
        ]
        x, y = box.x + 11, box.y + 18
        out.append(_text(x, y, _fitted(shown.name, NAME_SIZE, room, True), NAME_SIZE, INK, "font-weight='bold'"))
        y += LINE
        rule = text_width(shown.rule, SMALL - 1)
        out.append(_text(x, y, _fitted(shown.function, SMALL, room - rule - 10), SMALL, SOFT))
        end = "text-anchor='end' font-style='italic'"
        out.append(_text(box.x + box.width - 10, y, shown.rule, SMALL - 1, SOFT, end))
        if shown.timing:
            y += LINE + 2
            colour = PLAN_B if sq.trigger == "deadline" else "#0b5394"
            out += _clock(x + 5, y - 4, colour)
            out.append(_text(x + 15, y, _fitted(shown.timing, SMALL, room - 14), SMALL, colour))
        for note in shown.notes:
            y += LINE
            out.append(_text(x, y, _fitted(note, SMALL, room), SMALL, SOFT))
        if made.ports or sq.plan_b is not None:
            line = _number(y + 7)
            out.append(
                f'<path d="M{_number(box.x + 0.7)} {line}H{_number(box.x + box.width - 0.7)}" stroke="{FAINT}"'
                f' stroke-opacity="0.5" stroke-width="0.8"/>'
            )
        for port, below in zip(shown.ports, made.ports, strict=True):
            out += _port_lines(port.kind, box.x, box.y + below)
            soft = port.kind == "hidden"
            style = "font-style='italic'" if soft else ""
            text = _fitted(port.text, SMALL, room)
            out.append(_text(x, box.y + below + 4, text, SMALL, FAINT if soft else INK, style))
        if sq.plan_b is not None:
            below = made.ports[-1] + ROW if made.ports else box.height - ROW
            out.append(_text(x, box.y + below + 4, "plan B", SMALL, PLAN_B))
        y = box.y + box.height - 10 - LINE * (len(shown.constraints) - 1)
        for constraint in shown.constraints:
            out.append(_text(x, y, _fitted(constraint, SMALL, room), SMALL, INK, "font-weight='bold'"))
            y += LINE
        out.append("</g>")
        return out


def _sq_box(sq: TTSQ, shown: Caption, lane: int) -> _SQBox:
    widths = [
        text_width(shown.name, NAME_SIZE, True),
        text_width(shown.function, SMALL) + text_width(shown.rule, SMALL - 1) + 18,
        text_width(shown.timing, SMALL) + 16,
        *(text_width(note, SMALL) for note in shown.notes),
        *(text_width(constraint, SMALL, True) for constraint in shown.constraints),
        *(text_width(port.text, SMALL) + 4 for port in shown.ports),
    ]
    y = 18 + LINE + (LINE + 2 if shown.timing else 0) + LINE * len(shown.notes) + 7
    ports = [y + ROW * (index + 0.5) + 3 for index in range(len(shown.ports))]
    rows = max(len(ports) + (sq.plan_b is not None), _outputs(sq), 1)
    height = y + ROW * rows + 6 + (LINE * len(shown.constraints) + 4 if shown.constraints else 0)
    return _SQBox(sq, shown, Box(min(WIDEST, max(96.0, max(widths) + 24)), height, lane), ports)


def _output_height(made: _SQBox, position: int) -> float:
    """The distance from the box's top to its output at `position`: in the middle of the port rows."""
    shown, sq = made.caption, made.sq
    start = 18 + LINE + (LINE + 2 if shown.timing else 0) + LINE * len(shown.notes) + 7 + 3
    outputs = max(1, _outputs(sq))
    rows = max(len(made.ports) + (sq.plan_b is not None), outputs)
    return start + ROW * ((rows - outputs) / 2 + position + 0.5)


def _outputs(sq: TTSQ) -> int:
    """The number of wires that leave: its arcs, and the line from a plan B to its deadline."""
    return len(sq.arcs) + (sq.trigger == "plan_b")


def _tooltip(sq: TTSQ, shown: Caption) -> str:
    where = [f"line {sq.line}"] if sq.line else []
    lines = [shown.name, " · ".join([shown.function, shown.rule, *where])]
    lines += [text for text in (shown.timing, *shown.notes, *shown.constraints) if text]
    lines += [f"{port.text} ({port.kind})" if port.kind in ("sticky", "hidden") else port.text for port in shown.ports]
    return "\n".join(lines)


# Colour, width and dashes of a wire.
_STROKES = {
    "stream": (STREAM, 2.0, ""),
    "single": (SINGLE, 1.2, ""),
    "tag": (STREAM, 1.4, "6 4"),
    "unmatched": (PLAN_B, 1.2, "6 4"),
    "plan-b": (PLAN_B, 1.6, "1.5 4"),
}


def _arc_lines(arc: _Arc) -> list[str]:
    colour, width, dashes = _STROKES[arc.style]
    out = []
    for (name, port), route in zip(arc.ends, arc.wire.routes, strict=True):
        # Dots need round ends; dashes and lines look crisper without.
        pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
        cap = ' stroke-linecap="round"' if arc.style == "plan-b" else ""
        if port >= 0 and arc.style != "plan-b":
            # The arrow's tip touches the port's mark.
            route = [*route[:-1], (route[-1][0] - 4, route[-1][1])]
        out.append(
            f'<path class="arc {arc.style}" data-from={quoteattr(printable.line(arc.source))}'
            f' data-to={quoteattr(printable.line(name))} data-port="{port}" d="{_path(route)}" fill="none"'
            f' stroke="{colour}" stroke-width="{width}"{pattern}{cap} marker-end="url(#to-{arc.style})"/>'
        )
    if arc.label:
        # Every wire is straight where it leaves its box, and the label stands there, so nothing crosses it.
        x, y = max(arc.wire.routes, key=len)[0] if len(arc.wire.routes) > 1 else arc.wire.routes[0][0]
        fill = colour if arc.style == "plan-b" else INK
        out.append(_text(x + 6, y - 4, arc.label, SMALL, fill, "class='arc-label'"))
    return out


def _path(route: list[Point]) -> str:
    x, y = route[0]
    parts = [f"M{_number(x)} {_number(y)}"]
    for to_x, to_y in route[1:]:
        if abs(to_y - y) < 0.05:
            parts.append(f"H{_number(to_x)}")
        else:
            middle = (x + to_x) / 2
            parts.append(
                f"C{_number(middle)} {_number(y)} {_number(middle)} {_number(to_y)} {_number(to_x)} {_number(to_y)}"
            )
        x, y = to_x, to_y
    return "".join(parts)


def _arrowhead(style: str, colour: str) -> str:
    return (
        f'<marker id="to-{style}" viewBox="0 0 10 10" refX="9.5" refY="5" markerWidth="9" markerHeight="9"'
        f' markerUnits="userSpaceOnUse" orient="auto"><path d="M0 1L10 5L0 9L2.5 5z" fill="{colour}"/></marker>'
    )


def _port_lines(kind: str, x: float, y: float) -> list[str]:
    at = f'cx="{_number(x)}" cy="{_number(y)}"'
    match kind:
        case "sticky":
            square = f'x="{_number(x - 4)}" y="{_number(y - 4)}" width="8" height="8" rx="1"'
            return [f'<rect class="port sticky" {square} fill="{STREAM}"/>']
        case "constant":
            return [f'<circle class="port constant" {at} r="2.6" fill="{SINGLE}"/>']
        case _:
            return [f'<circle class="port {kind}" {at} r="3.4" fill="#ffffff" stroke="{STREAM}" stroke-width="1.2"/>']


def _pill_lines(label: str, box: Box, kind: str) -> list[str]:
    fill, colour, line = ("#e6f0f8", "#0b5394", 1.3) if kind == "input" else ("#243b53", "#ffffff", 0)
    middle = box.x + box.width / 2
    return [
        f'<g class="{kind}" data-name={quoteattr(label)}>',
        f'<rect x="{_number(box.x)}" y="{_number(box.y)}" width="{_number(box.width)}" height="{_number(box.height)}"'
        f' rx="{_number(box.height / 2)}" fill="{fill}" stroke="#0b5394" stroke-width="{line}"/>',
        _text(middle, box.y + 17.5, label, 12.5, colour, "text-anchor='middle' font-weight='bold'"),
        "</g>",
    ]


def _clock(x: float, y: float, colour: str) -> list[str]:
    return [
        f'<circle cx="{_number(x)}" cy="{_number(y)}" r="4.8" fill="none" stroke="{colour}" stroke-width="1.1"/>',
        f'<path d="M{_number(x)} {_number(y - 3)}V{_number(y)}H{_number(x + 2.4)}" fill="none" stroke="{colour}"'
        f' stroke-width="1.1"/>',
    ]


class _Legend:
    """The legend of colours, lines and marks, in rows no wider than `room`."""

    def __init__(self, groups: list[str], colours: dict[str, str], kinds: set[str], room: float) -> None:
        self.lines: list[str] = []
        self.width = 0.0
        self.height = 0.0
        self._room = min(room, 1400.0)
        self._x = 0.0
        self._y = 10.0
        for group in groups:
            self._swatch(shortened(printable.line(group), 60), colours[group])
        if groups:
            self._break()
        for kind, text in _KINDS:
            if kind in kinds:
                self._mark(kind, text)
        self.height = self._y + 8 if self.lines else 0.0

    def _entry(self, text: str, icon: float) -> tuple[float, float]:
        width = icon + 8 + WIDER * text_width(text, SMALL) + 22
        if self._x and self._x + width > self._room:
            self._break()
        x = self._x
        self._x += width
        self.width = max(self.width, self._x)
        self.lines.append(_text(x + icon + 8, self._y + 4, text, SMALL, SOFT))
        return x, self._y

    def _break(self) -> None:
        self._x = 0.0
        self._y += 22.0

    def _swatch(self, text: str, colour: str) -> None:
        x, y = self._entry(text, 18.0)
        self.lines.append(
            f'<rect x="{_number(x)}" y="{_number(y - 7)}" width="18" height="14" rx="3" fill="{colour}"'
            f' fill-opacity="0.15" stroke="{colour}" stroke-width="1.4"/>'
        )

    def _mark(self, kind: str, text: str) -> None:
        if kind in _STROKES:
            x, y = self._entry(text, 34.0)
            colour, width, dashes = _STROKES[kind]
            pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
            cap = ' stroke-linecap="round"' if kind == "plan-b" else ""
            self.lines.append(
                f'<path d="M{_number(x)} {_number(y)}h34" fill="none" stroke="{colour}" stroke-width="{width}"'
                f'{pattern}{cap} marker-end="url(#to-{kind})"/>'
            )
        else:
            x, y = self._entry(text, 8.0)
            self.lines += _port_lines(kind, x + 4, y)


_KINDS = (
    ("stream", "stream"),
    ("single", "single tokens"),
    ("tag", "tag: the instant, sent before the body runs"),
    ("unmatched", "tokens that left unused, to their handler"),
    ("plan-b", "plan B of a deadline"),
    ("sticky", "sticky port: keeps its last token"),
    ("constant", "constant"),
)


def _text(x: float, y: float, text: str, size: float, fill: str, attributes: str = "") -> str:
    space = " " if attributes else ""
    return (
        f'<text x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" fill="{fill}"{space}{attributes}>'
        f"{escape(text)}</text>"
    )


def _fitted(text: str, size: float, room: float, bold: bool = False) -> str:
    """`text`, cut to fit `room` pixels."""
    if text_width(text, size, bold) <= room:
        return text
    # Widths of letters differ, so the number that fits is found from the text itself.
    while text and text_width(text + "…", size, bold) > room:
        text = text[:-1]
    return text + "…"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
