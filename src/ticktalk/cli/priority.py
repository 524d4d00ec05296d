"""`--realtime` and `--cpus` of the commands that keep time."""

from __future__ import annotations

import typer

from ticktalk.cli import arguments
from ticktalk.cli.streams import say


def keep_time(realtime: bool, cpus: str | None = None) -> None:
    """Let this process keep time in real time, if that is asked for; before it starts threads. Says what it may not do.

    Raises:
        typer.BadParameter: the CPUs are no list, or are given without `--realtime`.
    """
    chosen = arguments.cpus(cpus)
    if chosen and not realtime:
        raise typer.BadParameter("--cpus is for --realtime: give both")
    if realtime:
        from ticktalk.physical import realtime as rights

        missing = rights.keep_time(chosen)
        if missing:
            say(f"--realtime: this process may not have {'; nor '.join(missing)}")
