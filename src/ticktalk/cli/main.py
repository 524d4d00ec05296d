"""All commands of `ticktalk`. Only the command that is called is loaded, so that each starts at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Annotated, NamedTuple

import typer

from ticktalk.cli.exit_status import run_guarded
from ticktalk.cli.settings import read_settings
from ticktalk.cli.streams import say_lines
from ticktalk.source_problems import did_you_mean


class CommandRow(NamedTuple):
    """The place of a command's function (or group of commands), and the help that lists show."""

    module: str
    name: str
    help: str


COMMANDS = {
    "new": CommandRow(
        "new", "new", "Make a project to start from. It has a program, drivers, a test and a deployment."
    ),
    "compile": CommandRow(
        "compile_command", "compile_command", "Compile a program to a graph file. The program is not run."
    ),
    "draw": CommandRow(
        "draw",
        "draw",
        "Draw a graph: SVG, Graphviz DOT or Mermaid. SQs of a host are a group; with --regions, those of a plan."
        " A node tells its SQ's function, firing rule, grid and settings, such as `order` and the longest gap that a"
        " RESAMPLE fills. Thick lines are streams; broken ones are tags, unused tokens (TTUnmatched) and plan Bs.",
    ),
    "simulate": CommandRow("simulate", "simulate", "Run a program in simulated time."),
    "run": CommandRow(
        "run", "run", "Run a program in real time on this machine. A manager starts, and one OS process per ensemble."
    ),
    "manager": CommandRow(
        "manager_command", "manager", "The runtime manager: ensembles join it. Graphs are deployed to it."
    ),
    "ensemble": CommandRow(
        "ensemble_command",
        "ensemble",
        "Take part in a system on this device. Ctrl-C ends that, or the manager.",
    ),
    "map": CommandRow("map", "map_command", "Map a graph to the ensembles of a deployment file."),
    "deploy": CommandRow(
        "remote", "deploy", "Map a graph, and distribute it to the ensembles. The command ends when all are ready."
    ),
    "start": CommandRow("remote", "start", "Start a graph that was deployed."),
    "stop": CommandRow("remote", "stop", "End a graph, or the whole system. That is the manager and every ensemble."),
    "drain": CommandRow(
        "remote", "drain", "Move all instances on an ensemble to others, losing nothing. Then the ensemble ends."
    ),
    "set": CommandRow(
        "remote",
        "set_grid",
        "Change a stream's period or phase while it runs. The change counts from its next instant on. A stream that"
        " catches up (TTMissed) runs those that are past first, as they were due.",
    ),
    "status": CommandRow("remote", "status", "The ensembles, the graphs on them, and their states."),
    "outputs": CommandRow(
        "remote",
        "outputs",
        "The outputs of a graph, one JSON object a line. These are the latest, and with --follow those to come.",
    ),
    "echo": CommandRow("live", "echo", "The tokens of any arc of a running graph, as they are sent."),
    "rate": CommandRow("live", "rate", "How many tokens a second an arc carries, and how evenly."),
    "top": CommandRow("live", "top", "A running system at a glance, again and again."),
    "replay": CommandRow(
        "replay",
        "replay",
        "Compute a recorded run once more, and compare each token. The status is 1 where it departs.",
    ),
    "inspect": CommandRow(
        "inspect_command", "inspect", "A recorded run at some time: its ports, states and deadlines."
    ),
    "doctor": CommandRow(
        "doctor", "doctor", "Look for what would get in the way here, and at a manager. Each finding says what to do."
    ),
    "explain": CommandRow("explain_command", "explain", "The tokens that an output came from, or why none came."),
    "explore": CommandRow(
        "explore",
        "explore",
        "Search how much delay, loss and clock error a program stands. In simulation, its outputs stay the same within"
        " the bounds found.",
    ),
    "export": CommandRow("export", "export", "A log of outputs as a table: CSV, Parquet, or flat JSON lines."),
    "keys": CommandRow(
        "keys",
        "keys_app",
        "Credentials for a system on a network. They give the right to take part, and to sign its code.",
    ),
}


EXAMPLES = {
    "new": "new first",
    "compile": "compile meet.py -o meet.json",
    "draw": "draw sign.py -o sign.svg",
    "simulate": "simulate sign.py --until 1s",
    "run": "run sign.py --until 3s --component roadside.radar=drivers:Radar --component pole.camera=drivers:Camera",
    "manager": "manager --ip 10.77.0.1 --credentials ticktalk-keys/runtime-manager.json",
    "ensemble": "ensemble display --manager 10.77.0.1:5555 --ip 10.77.0.2 --rx-port 5558"
    " --credentials ticktalk-keys/display.json",
    "map": "map meet.py --deployment town.yaml -o map.json",
    "deploy": "deploy sign.py --manager 10.77.0.1:5555 --credentials ticktalk-keys/anna.json --start",
    "start": "start sign --input trigger=1 --manager 10.77.0.1:5555",
    "stop": "stop sign --manager 10.77.0.1:5555",
    "drain": "drain pole --manager 10.77.0.1:5555",
    "set": "set sign look-1 period=250ms --manager 10.77.0.1:5555",
    "status": "status --json --manager 10.77.0.1:5555",
    "outputs": "outputs sign --manager 10.77.0.1:5555 --credentials ticktalk-keys/anna.json --follow",
    "echo": "echo sign look-1 --manager 10.77.0.1:5555",
    "rate": "rate sign look-1 --manager 10.77.0.1:5555",
    "top": "top --manager 10.77.0.1:5555",
    "replay": "replay run.mcap --network-delay 60ms",
    "inspect": "inspect run.mcap --at 605ms",
    "doctor": "doctor --manager 10.77.0.1:5555",
    "explain": "explain run.mcap judge-1@600ms -o why.svg",
    "explore": "explore examples/junction.py --deployment examples/junction.yaml"
    " --until 2s --vary link-delay:box,pole-south=0..200ms --runs 20 -o found",
    "export": "export room.jsonl --to csv -o room.csv",
    "keys": "keys init --address 10.77.0.1",
}
"""For each command, one that its help shows. The documentation runs most of them."""


def app_of(words: Sequence[str]) -> typer.Typer:
    """The command line that understands `words`: the command they name is loaded, of others the help is known.

    Args:
        words: the words of the command line, without the program's name.
    """
    app = typer.Typer(
        name="ticktalk",
        help="Timed dataflow programs in Python: compile, simulate, run on many devices.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, (module, attribute, text) in COMMANDS.items():
        if name != wanted:
            app.command(name, help=text)(_not_loaded)
            continue
        found = getattr(import_module(f"ticktalk.cli.{module}"), attribute)
        example = f"For example:  ticktalk {EXAMPLES[name]}"
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=text, epilog=example)
        else:
            app.command(name, help=text, epilog=example)(found)
    return app


def _not_loaded() -> None:
    raise AssertionError("a command that is called is loaded")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # rarely wanted, and slow to load

        print(f"ticktalk {version('ticktalk')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line and exit with its status."""
    # A shell that completes a command line gives it in the environment.
    typed = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS")
    words = typed.split()[1:] if typed and "_TICKTALK_COMPLETE" in os.environ else sys.argv[1:]
    run_guarded(partial(_run, words))


def _run(words: Sequence[str]) -> None:
    if words and words[0] not in COMMANDS and not (words[0].startswith("-") or "_TICKTALK_COMPLETE" in os.environ):
        say_lines(f"error: there is no command {words[0]!r}; {_instead_of(words[0])}")
        sys.exit(2)
    app = app_of(words)
    if {"--install-completion", "--show-completion"} & {*words}:
        _complete_at_once_in_zsh()
    read_settings()
    app(prog_name="ticktalk")


def _instead_of(word: str) -> str:
    """The advice for a first word that is no command."""
    if word.endswith((".py", ".json")):
        return f"write `ticktalk simulate {word}` or `ticktalk run {word}`"
    begun = next((name for name in COMMANDS if name.startswith(word)), word)
    return did_you_mean(begun, COMMANDS) or "`ticktalk --help` lists the commands"


def _complete_at_once_in_zsh() -> None:
    """Have the script for zsh complete where it is loaded, too: that is at the first Tab, which else only beeps."""
    from typer import _completion_shared as shared  # there is no public way to its scripts

    shared._completion_scripts["zsh"] += '\n[ "$funcstack[1]" = "_%(prog_name)s" ] && %(complete_func)s "$@"\n'


if __name__ == "__main__":
    main()
