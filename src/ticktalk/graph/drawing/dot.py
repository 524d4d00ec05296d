"""A graph in Graphviz's language: `dot -Tpng graph.dot -o graph.png`."""

from __future__ import annotations

from xml.sax.saxutils import escape

from ticktalk import printable
from ticktalk.graph.drawing.captions import arc_label, caption, output_label, plan_b_links
from ticktalk.graph.drawing.hosts import colours_of
from ticktalk.graph.sq import TTSQ, Nodes


def draw_dot(graph: Nodes, host: dict[str, str]) -> str:
    """`graph` as a directed graph, a cluster for each host."""
    node = {sq.name: f"sq{index}" for index, sq in enumerate(graph.sqs)}
    lines = [
        f"digraph {_quoted(graph.name)} {{",
        '  graph [rankdir=LR, fontname="Helvetica", bgcolor="white", ranksep=0.7, nodesep=0.3];',
        '  node [shape=plain, fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=9, color="#52606d", arrowsize=0.7];',
    ]
    pill = 'shape=box, style="rounded,filled"'
    for index, source in enumerate(graph.inputs):
        lines.append(f'  in{index} [label={_quoted(source.name)}, {pill}, fillcolor="#e6f0f8"];')
    for index, (group, colour) in enumerate(colours_of(host).items()):
        lines.append(f"  subgraph cluster_{index} {{")
        style = f'style="rounded,filled", color="{colour}", fillcolor="{colour}1c"'
        lines.append(f"    graph [label={_quoted(group)}, labeljust=l, {style}];")
        lines += [f"    {node[sq.name]} [label={_table(sq)}];" for sq in graph.sqs if host.get(sq.name) == group]
        lines.append("  }")
    lines += [f"  {node[sq.name]} [label={_table(sq)}];" for sq in graph.sqs if sq.name not in host]
    for index, source in enumerate(graph.inputs):
        lines += [f"  in{index} -> {node[to.sq]}:p{to.port}:w;" for to in source.to]
    outputs = 0
    for sq in graph.sqs:
        for arc in sq.arcs:
            style = "style=dashed" if arc.kind != "value" else "penwidth=1.6" if sq.stream else "penwidth=0.9"
            label = arc_label(arc)
            for to in arc.to:
                lines.append(f"  {node[sq.name]} -> {node[to.sq]}:p{to.port}:w [label={_quoted(label)}, {style}];")
            if arc.output:
                name = _quoted(output_label(sq, arc))
                look = f'{pill}, fillcolor="#243b53", fontcolor="white"'
                lines.append(f"  out{outputs} [label={name}, {look}];")
                lines.append(f"  {node[sq.name]} -> out{outputs} [{style}];")
                outputs += 1
    for plan_b, deadline in plan_b_links(graph):
        lines.append(
            f'  {node[plan_b.name]} -> {node[deadline.name]} [label="plan B", style=dotted, color="#b3261e",'
            f' fontcolor="#b3261e"];'
        )
    lines.append("}")
    return "\n".join(lines) + "\n"


def _table(sq: TTSQ) -> str:
    """An HTML-like label: a row for each remark, a cell for each port."""
    shown = caption(sq)
    rows = [f"<B>{escape(shown.name)}</B>", f"{escape(shown.function)} · <I>{escape(shown.rule)}</I>"]
    rows += [escape(text) for text in (shown.timing, *shown.notes) if text]
    cells = [f'<TR><TD ALIGN="LEFT">{row}</TD></TR>' for row in rows]
    for index, port in enumerate(shown.ports):
        text = escape(port.text) + (" (sticky)" if port.kind == "sticky" else "")
        cells.append(f'<TR><TD ALIGN="LEFT" PORT="p{index}" BORDER="1" SIDES="T">{text}</TD></TR>')
    cells += [f'<TR><TD ALIGN="LEFT"><B>{escape(text)}</B></TD></TR>' for text in shown.constraints]
    line = ' STYLE="DASHED"' if sq.trigger == "plan_b" else ""
    look = f'BGCOLOR="white" BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3"{line}'
    return f"<<TABLE {look}>{''.join(cells)}</TABLE>>"


def _quoted(text: str) -> str:
    return '"' + printable.line(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
