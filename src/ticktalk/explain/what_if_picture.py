"""A comparison of a recorded run and a simulated one as SVG: outputs over time, the recorded above. Light and dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from ticktalk.durations import about
from ticktalk.explain.picture import MARGIN, STYLE, steps
from ticktalk.graph.drawing.svg import text_width

WIDE = 720.0
"""Pixels of the time axis."""

LANE = 14.0
"""Pixels of a row of marks; an output has two of them."""

GAP = 18.0
MOST = 1500
"""Marks of an output that are drawn at most: so many of those as recorded, and so many of those that differ."""

COLOURS = """
.same { fill: var(--bar); } .later { fill: var(--later); } .changed { fill: var(--changed); }
.gone { fill: var(--gone); } .new { fill: var(--new); } .link { stroke: var(--later); } .name { font-weight: bold; }
svg { --later: #b7791f; --changed: #6b46c1; --gone: #c53030; --new: #2f855a; }
@media (prefers-color-scheme: dark) {
svg { --later: #d6a54a; --changed: #a58ae0; --gone: #e0716c; --new: #68b587; }
}
"""

MEANINGS = {
    "same": "as recorded",
    "later": "later or earlier",
    "changed": "another value",
    "gone": "gone",
    "new": "new",
}
"""The kinds of marks, as the legend has them."""


class Mark(NamedTuple):
    """An output token: its kind (`MEANINGS`), when it was sent (ticks after the start; None: not there), its text."""

    kind: str
    was: int | None
    now: int | None
    text: str


def draw_comparison(title: str, rows: Sequence[tuple[str, Sequence[Mark]]], said: str) -> str:
    """Two rows of marks for each output: as recorded, and as it would be.

    Args:
        title: of the picture.
        rows: each output's name and marks.
        said: the same as text, for those who do not see it.
    """
    ticks = [tick for _, marks in rows for mark in marks for tick in mark[1:3] if tick is not None]
    low, high = min(ticks, default=0), max(ticks, default=1)
    left = MARGIN + max([text_width(name, 12) for name, _ in rows] + [text_width("what if", 11)], default=60.0) + 70
    right, top = left + WIDE, MARGIN + 40
    bottom = top + len(rows) * (2 * LANE + GAP)
    width, height = max(right, MARGIN + text_width(title, 15, bold=True)) + MARGIN, bottom + 64
    scale = WIDE / max(1, high - low)
    drawn = [(name, _thinned(marks)) for name, marks in rows]

    def at(tick: int) -> float:
        return left + (tick - low) * scale

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-labelledby="title said">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="said">{escape(said)}</desc>',
        f"<style>{STYLE}{COLOURS}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="title" x="{MARGIN:g}" y="{MARGIN + 12:g}">{escape(title)}</text>',
    ]
    for tick in steps(low, high):
        x = at(tick)
        lines.append(f'<line class="grid" x1="{x:.1f}" y1="{top - 8:g}" x2="{x:.1f}" y2="{bottom:.1f}"/>')
        lines.append(f'<text class="soft" x="{x:.1f}" y="{bottom + 14:.1f}" text-anchor="middle">{about(tick)}</text>')
    for index, (name, marks) in enumerate(drawn):
        y = top + index * (2 * LANE + GAP)
        lines.append(f"<g data-output={quoteattr(name)}>")
        lines.append(f'<text class="name" x="{MARGIN:g}" y="{y + 18:.1f}">{escape(name)}</text>')
        for told, below in (("recorded", 10.0), ("what if", LANE + 12)):
            lines.append(f'<text class="soft" x="{left - 8:.1f}" y="{y + below:.1f}" text-anchor="end">{told}</text>')
        for mark in marks:
            lines += _drawn(mark, y, at)
        lines.append("</g>")
    x = MARGIN
    for kind, meaning in MEANINGS.items():
        lines.append(f'<rect class="{kind}" x="{x:.1f}" y="{bottom + 31:.1f}" width="10" height="10" rx="2"/>')
        lines.append(f'<text class="soft" x="{x + 15:.1f}" y="{bottom + 40:.1f}">{meaning}</text>')
        x += 15 + text_width(meaning, 11) + 22
    total, shown = (sum(len(marks) for _, marks in each) for each in (rows, drawn))
    few = f"; {shown} of {total} tokens are drawn" if shown < total else ""
    note = f"times are after the start, when sent{few}"
    lines.append(f'<text class="soft" x="{x:.1f}" y="{bottom + 40:.1f}">{note}</text>')
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _thinned(marks: Sequence[Mark]) -> list[Mark]:
    kept: set[int] = set()
    for differs in (False, True):
        found = [mark for mark in marks if (mark.kind != "same") == differs]
        kept.update(map(id, found[:: max(1, -(-len(found) // MOST))]))
    return [mark for mark in marks if id(mark) in kept]


def _drawn(mark: Mark, y: float, at: Callable[[int], float]) -> list[str]:
    lines = [f'<g data-kind="{mark.kind}"><title>{escape(mark.text)}</title>']
    if mark.kind == "later" and mark.was is not None and mark.now is not None:
        ends = f'x1="{at(mark.was):.1f}" y1="{y + 11:.1f}" x2="{at(mark.now):.1f}" y2="{y + LANE + 3:.1f}"'
        lines.append(f'<line class="link" {ends}/>')
    for tick, above in ((mark.was, y + 1), (mark.now, y + LANE + 3)):
        if tick is not None:
            lines.append(
                f'<rect class="{mark.kind}" x="{at(tick) - 1.5:.1f}" y="{above:.1f}" width="3" height="10" rx="1"/>'
            )
    lines.append("</g>")
    return lines
