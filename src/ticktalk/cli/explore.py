"""`ticktalk explore`: up to which delays, losses, clock errors, failures a program's outputs stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.console import runs_done
from ticktalk.cli.explore_search import RUNS
from ticktalk.cli.explore_search import explore as explored
from ticktalk.cli.streams import say
from ticktalk.cli.tables import add, table, terminal
from ticktalk.exploration.certificate import Certificate, Counterexample
from ticktalk.exploration.dimensions import KINDS
from ticktalk.yaml_file import YamlFile, read_text

NO_OUTPUT = "none, so only an output that comes when something is worse makes a difference (a longer --until?)"
"""Said where the usual run has no outputs."""


def explore(
    program: options.Program,
    deployment: options.Deployment = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[:TARGET]=RANGE",
            help="What is made worse: link-delay=0..200ms, loss:a,b=0..5%, clock:b=-50ms..50ms, ...; kinds are "
            + ", ".join(KINDS)
            + ".",
        ),
    ] = None,
    bounds: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="The same as a file: `link-delay: 0..200ms`, ...")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DURATION", help="When streams end, such as 20s; default: with their windows.")
    ] = None,
    input: options.Inputs = None,
    ensemble: options.Ensembles = None,
    component: options.Components = None,
    mapping: options.Mapping = None,
    network_delay: Annotated[
        str | None, typer.Option(metavar="DURATION", help="What every token between two ensembles takes.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="What happens in every run, beside what is made worse.")
    ] = None,
    outputs: Annotated[
        list[str] | None, typer.Option(metavar="SQ", help="An output that counts; default: all outputs.")
    ] = None,
    check: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="A function that asserts what holds of the outputs.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND[:TARGET]=BOUND", help="End with 1 if the bound is smaller: clock:b=30ms."),
    ] = None,
    runs: Annotated[
        int, typer.Option(metavar="COUNT", min=0, help="Points that are tried with all that varies at once.")
    ] = RUNS,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j", "--jobs", metavar="COUNT", min=1, max=options.MOST_JOBS, help="Processes; default: one a processor."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=2**31, help="Seed of the runs and of the search.")
    ] = 0,
    resolution: Annotated[
        str, typer.Option(metavar="DURATION", help="By how much a duration may be found too small.")
    ] = "1us",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write the counterexamples there.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
    of: options.Graph = None,
) -> None:
    asked = {**(_read_bounds(bounds) if bounds is not None else {}), **_pairs("--vary", vary)}
    with runs_done() as done:
        certificate = explored(
            program,
            asked or None,
            until=until,
            input=arguments.inputs(input or []),
            graph=of,
            ensemble=ensemble or [],
            component=component or [],
            deployment=deployment,
            mapping=mapping,
            network_delay=network_delay,
            events=events,
            outputs=outputs or [],
            check=check,
            expect=_pairs("--expect", expect),
            runs=runs,
            jobs=jobs,
            seed=seed,
            resolution=resolution,
            folder=output,
            done=done,
        )
    if json:
        print(msgspec.json.encode(certificate).decode())
    else:
        _show(certificate)
    for sentence in certificate.unmet:
        say(sentence)
    if certificate.unmet:
        raise typer.Exit(1)


def _pairs(option: str, words: list[str] | None) -> dict[str, str]:
    found = {}
    for word in words or ():
        name, equals, text = word.partition("=")
        if not equals:
            raise typer.BadParameter(f"{option} {word}: write KIND=RANGE, such as link-delay=0..200ms")
        found[name.strip()] = text.strip()
    return found


def _read_bounds(path: Path) -> dict[str, str]:
    """The ranges of a file of bounds.

    Raises:
        TTError: it cannot be read, or is not valid.
    """
    what = "file of bounds"
    reader = YamlFile(str(path), what)
    root = reader.compose(read_text(path, what))
    found: dict[str, str] = {}
    if root is not None:
        for _, name, node in reader.pairs(root, what, " such as link-delay: 0..200ms"):
            text = reader.text(node, name)
            if text is not None:
                found[name] = text
    reader.check()
    return found


def _show(certificate: Certificate) -> None:
    counts = ", ".join(f"{name} {count}" for name, count in certificate.outputs.items()) or NO_OUTPUT
    shown = table("what is made worse", "same outputs up to", "found by", "the first difference")
    for axis in certificate.bounds:
        first = "" if axis.first is None else f"{'; '.join(axis.first.worse.values())}: {axis.first.difference.what}"
        add(shown, axis.dimension.lstrip("-"), axis.safe_text, axis.how, first)
    console = terminal()
    console.print(f"{certificate.program}: output tokens of a run: {counts}")
    console.print(shown)
    if certificate.together is not None:
        console.print(certificate.together.how)
        _show_one("the least that was found together", certificate.together.counterexample)
    _show_one("the first counterexample", certificate.least)


def _show_one(what: str, example: Counterexample | None) -> None:
    if example is not None:
        worse = ", ".join(f"{name} {text}" for name, text in example.worse.items())
        console = terminal()
        console.print(f"{what}: {worse}: {example.difference.what}")
        console.print(f"  {example.replay}", soft_wrap=True)
        if not example.file:
            console.print("".join(f"    {line}\n" for line in example.events.splitlines()), end="")
