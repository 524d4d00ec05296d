"""`ticktalk compile`: a program as a graph file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ticktalk.cli import options
from ticktalk.cli.streams import say
from ticktalk.language.compiler import compile_program


def compile_command(
    program: Annotated[str, typer.Argument(metavar="PROGRAM", help="A TickTalk program.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="GRAPH.json", help="Default: PROGRAM's stem + .json.")
    ] = None,
    of: options.Graph = None,
) -> None:
    if program.endswith(".json"):
        raise typer.BadParameter(f"{program}: a graph file is compiled already; name the program")
    graph = compile_program(program, of)
    path = output or Path(Path(program).stem + ".json")
    graph.save(path)
    say(f"{path}: {len(graph.sqs)} SQs, {len(graph.inputs)} inputs, {len(graph.outputs())} outputs")
