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
        Path | None,
        typer.Option("-o", "--output", metavar="GRAPH.json", help="Default: PROGRAM's stem + .json; -: print it."),
    ] = None,
    of: options.Graph = None,
) -> None:
    if program.endswith(".json"):
        raise typer.BadParameter(f"{program}: a graph file is compiled already; name the program")
    path = output or Path(Path(program).stem + ".json")
    if path.suffix != ".json" and path != Path("-") and (path.is_file() or not path.exists()):
        instead = "give it a name in .json, or `-` to print the graph"
        raise typer.BadParameter(f"-o {path}: other commands know a graph file by its ending: {instead}")
    graph = compile_program(program, of)
    if path == Path("-"):
        print(graph.to_json().decode(), end="")
        return
    graph.save(path)
    parts = (("SQ", graph.sqs), ("input", graph.inputs), ("output", graph.outputs()))
    say(f"{path}: " + ", ".join(f"{len(found)} {noun}" + "s" * (len(found) != 1) for noun, found in parts))
