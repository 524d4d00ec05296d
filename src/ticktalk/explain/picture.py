"""An explanation as SVG: each token's interval on one time axis, with a mark where it was sent. Light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape, quoteattr

from ticktalk.durations import about, instant_text, interval_text
from ticktalk.explain.why import Bar, Explanation, finite
from ticktalk.graph.drawing.svg import FONT, text_width
from ticktalk.time import Tick

ROW = 26.0
SIZE = 12.0
AXIS = 560.0
"""Pixels of the time axis."""

MARGIN = 20.0
INDENT = 12.0
MARKS = 8
"""Marks on the time axis at most."""

STYLE = """
text { font-family: FONT; font-size: 12px; fill: var(--ink); }
.soft { fill: var(--soft); font-size: 11px; } .title { font-size: 15px; font-weight: bold; }
.grid { stroke: var(--line); } .bar { fill: var(--bar); }
.explained { fill: var(--first); } .lost { fill: var(--lost); }
.asked { stroke: var(--ink); stroke-dasharray: 4 3; }
.sent { stroke: var(--ink); stroke-width: 2; } .page { fill: var(--page); }
svg { --page: #ffffff; --ink: #1f2933; --soft: #52606d; --line: #d9dee3;
  --bar: #829ab1; --first: #243b53; --lost: #e39f9a; }
@media (prefers-color-scheme: dark) {
svg { --page: #16191d; --ink: #e4e7eb; --soft: #a3afbb; --line: #353c44;
  --bar: #627d98; --first: #9fc1e3; --lost: #8c4641; }
}
""".replace("FONT", FONT)


def draw_explanation(made: Explanation) -> str:
    """The tokens of an explanation as SVG; its text is in it, for those who do not see it."""
    labels = [text_width(bar.label, SIZE) + INDENT * bar.depth for bar in made.bars]
    values = [text_width(bar.value, 11.0) for bar in made.bars]
    left = MARGIN + max(labels, default=80.0) + 14
    right = left + AXIS
    width = max(right + max(values, default=0.0) + 14, MARGIN + text_width(made.title, 15, bold=True), 560.0) + MARGIN
    top = MARGIN + 34
    bottom = top + ROW * len(made.bars)
    height = bottom + 54
    ticks = sorted([*finite(made.bars), *([] if made.asked is None else [made.asked])])
    low, high = (ticks[0], ticks[-1]) if ticks else (0, 1)
    space = max(1.0, (high - low) * 0.04)

    def at(tick: Tick) -> float:
        inside = min(max(tick, low - space), high + space)
        return left + AXIS * (inside - low + space) / (high - low + 2 * space)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-labelledby="title said">',
        f'<title id="title">{escape(made.title)}</title>',
        f'<desc id="said">{escape(made.text())}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="title" x="{MARGIN:g}" y="{MARGIN + 12:g}">{escape(made.title)}</text>',
    ]
    lines.append(f'<text class="soft" x="{MARGIN:g}" y="{bottom + 20:.1f}">from {escape(instant_text(low))}</text>')
    for tick in steps(int(low), int(high)):
        x = at(tick)
        lines.append(f'<line class="grid" x1="{x:.1f}" y1="{top - 6:g}" x2="{x:.1f}" y2="{bottom + 4:.1f}"/>')
        lines.append(
            f'<text class="soft" x="{x:.1f}" y="{bottom + 20:.1f}" text-anchor="middle">+{about(tick - low)}</text>'
        )
    if made.asked is not None:
        x = at(made.asked)
        lines.append(f'<line class="asked" x1="{x:.1f}" y1="{top - 6:g}" x2="{x:.1f}" y2="{bottom + 4:.1f}"/>')
        where = escape(instant_text(made.asked))
        lines.append(f'<text class="soft" x="{x:.1f}" y="{top - 10:g}" text-anchor="middle">{where}</text>')
    for index, bar in enumerate(made.bars):
        lines += _bar_lines(bar, index, top + ROW * index, at, right)
    legend = "A bar is the interval of a token, a stroke is when it was sent; times are after the first of them."
    legend += " The dashed line is the time that was asked for." if made.asked is not None else ""
    lines.append(f'<text class="soft" x="{MARGIN:g}" y="{bottom + 40:.1f}">{legend}</text>')
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _bar_lines(bar: Bar, index: int, y: float, at: Callable[[Tick], float], right: float) -> list[str]:
    kind = "lost" if bar.lost else "explained" if index == 0 else "bar"
    begin, end = at(bar.start), at(bar.stop)
    hint = f"{bar.label} = {bar.value} on {interval_text(bar.start, bar.stop)}"
    lines = [
        f"<g data-token={quoteattr(bar.label)}><title>{escape(hint)}</title>",
        f'<text x="{MARGIN + INDENT * bar.depth:g}" y="{y + 15:.1f}">{escape(bar.label)}</text>',
        f'<rect class="{kind}" x="{begin:.1f}" y="{y + 4:.1f}" width="{max(end - begin, 2):.1f}" height="14" rx="2"/>',
    ]
    if bar.sent is not None:
        x = at(bar.sent)
        lines.append(f'<line class="sent" x1="{x:.1f}" y1="{y + 1:.1f}" x2="{x:.1f}" y2="{y + 21:.1f}"/>')
    lines.append(f'<text class="soft" x="{right + 12:.1f}" y="{y + 15:.1f}">{escape(bar.value)}</text></g>')
    return lines


def steps(low: int, high: int) -> Iterator[int]:
    """Ticks at round distances from the first one."""
    step, size = 1, 1
    while (high - low) / step > MARKS:
        step = next((size * each for each in (2, 5, 10) if size * each > step), step)
        size *= 10 if step == 10 * size else 1
    yield from range(low, high + 1, step)
