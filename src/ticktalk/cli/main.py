"""All commands of `ticktalk`, and those that need no file of their own."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ticktalk.cli import options, remote
from ticktalk.cli.draw import draw
from ticktalk.cli.ensemble_command import ensemble
from ticktalk.cli.guard import run_guarded
from ticktalk.cli.keys import keys_app
from ticktalk.cli.manager_command import manager
from ticktalk.cli.map import map_command
from ticktalk.cli.run import run
from ticktalk.cli.simulate import simulate
from ticktalk.cli.streams import say
from ticktalk.language.compiler import compile_program

app = typer.Typer(
    name="ticktalk",
    help="Timed dataflow programs in Python: compile, simulate, run on many devices.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(keys_app)
app.command()(draw)
app.command()(simulate)
app.command()(run)
app.command()(manager)
app.command()(ensemble)
app.command("map")(map_command)
app.command()(remote.deploy)
app.command()(remote.start)
app.command()(remote.stop)
app.command()(remote.drain)
app.command("set")(remote.set_grid)
app.command()(remote.status)
app.command()(remote.outputs)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ticktalk {version('ticktalk')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Timed dataflow programs in Python: compile, simulate, run on many devices."""


@app.command("compile")
def compile_command(
    program: Annotated[str, typer.Argument(metavar="PROGRAM", help="A TickTalk program.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="GRAPH.json", help="Default: PROGRAM's stem + .json.")
    ] = None,
    of: options.Graph = None,
) -> None:
    """Compile a program to a graph file. The program is not run."""
    graph = compile_program(program, of)
    path = output or Path(Path(program).stem + ".json")
    graph.save(path)
    say(f"{path}: {len(graph.sqs)} SQs, {len(graph.inputs)} inputs, {len(graph.outputs())} outputs")


def main() -> None:
    """Run the command line and exit with its status."""
    run_guarded(app)


if __name__ == "__main__":
    main()
