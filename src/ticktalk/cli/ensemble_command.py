"""`ticktalk ensemble`: this device takes part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.priority import keep_time
from ticktalk.cli.signals import on_interrupt
from ticktalk.cli.streams import say
from ticktalk.defaults import MAX_VALUE, WORKERS
from ticktalk.ensemble import TTEnsemble
from ticktalk.log_file import check_log
from ticktalk.mapping.ensembles import check_ensemble_name
from ticktalk.physical.workers.native_output import shown_apart


def ensemble(
    name: Annotated[str, typer.Argument(help="The ensemble's name, unique in its system.")],
    manager: options.Manager,
    ip: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The address on which others reach this ensemble.")
    ] = None,
    rx_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="The port on which it listens; 0: any that is free.")
    ] = 0,
    tx_port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=65535, help="The local port of the connection to the manager; 0: any."),
    ] = 0,
    component: options.OwnComponents = None,
    workers: options.Workers = WORKERS,
    max_value: options.MaxValue = MAX_VALUE,
    worker_memory: options.WorkerMemory = "0",
    realtime: options.Realtime = False,
    cpus: options.Cpus = None,
    credentials: options.OwnCredentials = None,
    clock: Annotated[
        str,
        typer.Option(metavar="manager|system", help="manager: follow the manager's clock; system: trust this host's."),
    ] = "manager",
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Append tracebacks of bodies to FILE.")] = None,
    near: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    try:
        check_ensemble_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if clock not in ("manager", "system"):
        raise typer.BadParameter(f"--clock {clock}: write manager or system")
    memory = arguments.worker_memory(worker_memory, workers)
    if log is not None:
        check_log(log)
    this = TTEnsemble(log, name, components=arguments.own_components(component or []))
    on_interrupt(this.stop)
    keep_time(realtime, cpus, workers)
    with shown_apart(name, not workers):
        this.run_phy(
            arguments.address(manager, "--manager"),
            ip=None if ip is None else arguments.own_ip(ip),
            rx_port=rx_port,
            tx_port=tx_port,
            workers=workers,
            max_value=max_value,
            worker_memory=memory,
            credentials=credentials,
            clock=clock,
            near=near or os.getcwd(),
            on_event=say,
        )
