"""A graph in Mermaid's language, which Markdown pages show: a flowchart with a subgraph for each host.

Mermaid itself refuses 500 edges and more unless its `maxEdges` is raised.
"""

from __future__ import annotations

from ticktalk import printable
from ticktalk.graph.drawing.captions import arc_label, caption, output_label, plan_b_links
from ticktalk.graph.drawing.hosts import colours_of
from ticktalk.graph.sq import TTSQ, Nodes

# Characters that end a quoted label, or begin an entity, markup or a directive: written as Mermaid's `#code;`.
_ESCAPES = {ord(c): f"#{ord(c)};" for c in '"#&<>`%\\'}


def draw_mermaid(graph: Nodes, host: dict[str, str]) -> str:
    """`graph` as a flowchart from left to right."""
    node = {sq.name: f"sq{index}" for index, sq in enumerate(graph.sqs)}
    lines = ["flowchart LR"]
    lines += [f'  in{index}(["{_escaped(source.name)}"])' for index, source in enumerate(graph.inputs)]
    colours = colours_of(host)
    for index, group in enumerate(colours):
        lines.append(f'  subgraph host{index}["{_escaped(group)}"]')
        lines += [f'    {node[sq.name]}["{_label(sq)}"]' for sq in graph.sqs if host.get(sq.name) == group]
        lines.append("  end")
    lines += [f'  {node[sq.name]}["{_label(sq)}"]' for sq in graph.sqs if sq.name not in host]
    for index, source in enumerate(graph.inputs):
        lines += [f"  in{index} --> {node[to.sq]}" for to in source.to]
    outputs = 0
    for sq in graph.sqs:
        for arc in sq.arcs:
            line = "-.->" if arc.kind != "value" else "==>" if sq.stream else "-->"
            label = f'|"{_escaped(arc_label(arc))}"|' if arc_label(arc) else ""
            lines += [f"  {node[sq.name]} {line}{label} {node[to.sq]}" for to in arc.to]
            if arc.output:
                lines.append(f'  {node[sq.name]} {line} out{outputs}(["{_escaped(output_label(sq, arc))}"])')
                outputs += 1
    lines += [f'  {node[plan_b.name]} -.->|"plan B"| {node[sq.name]}' for plan_b, sq in plan_b_links(graph)]
    plan_bs = [node[sq.name] for sq in graph.sqs if sq.trigger == "plan_b"]
    if plan_bs:
        lines += ["  classDef planB stroke-dasharray:5 3", f"  class {','.join(plan_bs)} planB"]
    for index, colour in enumerate(colours.values()):
        lines.append(f"  style host{index} fill:{colour}1c,stroke:{colour}")
    return "\n".join(lines) + "\n"


def _label(sq: TTSQ) -> str:
    shown = caption(sq)
    rows = [f"<b>{_escaped(shown.name)}</b>", f"{_escaped(shown.function)} · {shown.rule}"]
    rows += [_escaped(text) for text in (shown.timing, *shown.notes) if text]
    for port in shown.ports:
        if port.kind in ("constant", "sticky"):
            rows.append(_escaped(port.text) + (" (sticky)" if port.kind == "sticky" else ""))
    rows += [f"<b>{_escaped(text)}</b>" for text in shown.constraints]
    return "<br>".join(rows)


def _escaped(text: str) -> str:
    return printable.line(text).translate(_ESCAPES)
