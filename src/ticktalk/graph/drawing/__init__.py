"""Pictures of a graph: SVG that needs nothing installed, Graphviz DOT, Mermaid.

`captions` has the text on an SQ, `hosts` the groups of SQs that are drawn as one host. Each format has a file. In an
SVG, `ordering` settles the order of boxes, then `layout` their places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ticktalk.graph.drawing.boxes import with_boxes
from ticktalk.graph.drawing.dot import draw_dot
from ticktalk.graph.drawing.hosts import hosts_of
from ticktalk.graph.drawing.mermaid import draw_mermaid
from ticktalk.graph.drawing.svg import draw_svg
from ticktalk.graph.sq import Nodes

__all__ = ["Format", "draw"]

Format = Literal["svg", "dot", "mmd"]


def draw(graph: Nodes, format: Format, host_of: Mapping[str, str] | None = None) -> str:
    """The text of a picture of `graph`.

    Args:
        graph: a compiled graph.
        format: "svg", "dot" (Graphviz) or "mmd" (Mermaid).
        host_of: SQ name to ensemble name, as a mapper gives it; SQs it leaves out are in no group. Without it,
            the SQs' constraints make the groups, and the graphs that the graph calls.

    Raises:
        ValueError: there is no such format.
    """
    host = hosts_of(graph, host_of)
    if host_of is None:
        host = with_boxes(graph, host)
    match format:
        case "svg":
            return draw_svg(graph, host)
        case "dot":
            return draw_dot(graph, host)
        case "mmd":
            return draw_mermaid(graph, host)
    raise ValueError(f"{format!r} is no format of a drawing: it is 'svg', 'dot' or 'mmd'")
