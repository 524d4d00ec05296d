"""`--realtime` and `--cpus` of the commands that keep time."""

from __future__ import annotations

import typer

from ticktalk.cli import arguments
from ticktalk.cli.streams import say


def keep_time(realtime: bool, cpus: str | None = None, workers: int = 1, told: bool = False) -> None:
    """Let this process keep time in real time, if that is asked for; before it starts threads. Says what it may not do.

    Args:
        realtime, cpus, workers: as the command has them.
        told: another process has said it already.

    Raises:
        typer.BadParameter: the CPUs are no list, or are given without `--realtime`.
    """
    chosen = arguments.cpus(cpus)
    if chosen and not realtime:
        raise typer.BadParameter("--cpus is for --realtime: give both")
    if realtime:
        from ticktalk.physical import realtime as rights

        missing = rights.keep_time(chosen)
        if missing and not told:
            say(f"--realtime: all goes on without {'; and without '.join(missing)}")
        if not workers and not told:
            say("--realtime: with --workers 0 bodies, too, come before all ordinary processes: a long one delays them")
