"""`--web PORT`: a dashboard beside a runtime manager, and what its buttons ask for."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer

from ticktalk.cli import arguments
from ticktalk.cli.signals import until_interrupted
from ticktalk.cli.streams import say
from ticktalk.error_hints import wanted_by
from ticktalk.errors import TTError
from ticktalk.manager.events import losses_text
from ticktalk.manager.state import ManagerState
from ticktalk.payloads import OutputToken
from ticktalk.physical.manager_node import Callbacks
from ticktalk.physical.trust.trust import is_loopback
from ticktalk.runtime_manager import TTRuntimeManagerPhysical, TTRuntimeManagerSim

if TYPE_CHECKING:
    from ticktalk.recording.as_system import ReplayedSystem
    from ticktalk.web.server import Dashboard

STEPS = 200
"""Looks at a simulation."""

FIRST_LOOK, LAST_LOOK = 10_000, 3_600_000_000
"""Root ticks between two looks at a simulation whose end is not known: at first, and at most."""

LOOK = 0.5
"""Seconds between two looks at what goes on in real time."""

Act = Callable[[dict[str, Any]], str]
"""Does what a page asks for, with the fields of the request, and says what was done."""


def dashboard(web: str | None, manager: TTRuntimeManagerPhysical, stack: ExitStack) -> None:
    """Show a manager on a page, until the stack is closed; None: on none.

    Raises:
        typer.BadParameter, TTError: as `open_pages`.
    """
    if web is not None:
        made = open_pages(web, manager.process.state, manager.status, acts(manager))
        stack.callback(made.close)
        outputs = Callbacks()  # what is shown is read in a thread of its own, not where time is kept
        stack.callback(outputs.close, None)
        manager.process.outputs.listeners.append(outputs.wrap(made.output))


class SimulatedPages:
    """The dashboard of a simulation, which is looked at in even steps; it stays when the run has ended.

    Args:
        web: see `open_pages`.
        manager: of the simulation.
    """

    def __init__(self, web: str, manager: TTRuntimeManagerSim) -> None:
        self._manager, self._pages = manager, open_pages(web, manager.process.state)
        manager.on_output(self._pages.output, notes=True)

    def steps(self, start: int, stop: int) -> Iterator[int]:
        """The ticks up to which to run, the last being `stop`, with a look after each."""
        for step in range(1, STEPS + 1):
            yield start + (stop - start) * step // STEPS
            self._pages.look(self._manager.status())

    def watch(self) -> None:
        """Look at a simulation whose end is not known, again and again: about every `LOOK` seconds of real time."""
        self._manager.sim.process(self._looks())

    def _looks(self) -> Generator[Any, Any, None]:
        span, looked = FIRST_LOOK, time.monotonic()
        while True:
            yield self._manager.sim.timeout(span)
            took = time.monotonic() - looked
            span = min(2 * span, LAST_LOOK) if took < LOOK / 2 else max(1, span // 2) if took > 2 * LOOK else span
            self._pages.look(self._manager.status())
            looked = time.monotonic()

    def stay(self) -> None:
        """Show the end until Ctrl-C."""
        self._pages.look(self._manager.status())
        stay(self._pages)


class ReplayedPages:
    """The dashboard of a replay, and of the run that goes on live from it.

    Args:
        web: see `open_pages`.
        system: the replay.
    """

    def __init__(self, web: str, system: ReplayedSystem) -> None:
        self._system, self._pages = system, open_pages(web, system.state)
        self.close = self._pages.close
        self._looked = 0.0  # by a monotonic clock

    def output(self, token: OutputToken) -> None:
        """Take an output of the replay."""
        self._system.outputs.add(token)
        self._pages.output(token)

    def look(self, tick: int) -> None:
        """Show the replay, which has gone up to a root tick."""
        self._pages.look(self._system.status(tick))

    def follow(self, manager: TTRuntimeManagerSim) -> Callable[[], None]:
        """Show a simulation from now on; what is given looks at it, if the last look is a while ago."""
        self._pages.show(manager.process.state)
        manager.on_output(self._pages.output, notes=True)

        def look() -> None:
            if time.monotonic() - self._looked > LOOK:
                self._looked = time.monotonic()
                self._pages.look(manager.status())

        return look

    def stay(self) -> None:
        """Show the end until Ctrl-C."""
        stay(self._pages)


def stay(pages: Dashboard) -> None:
    """Show what there is until Ctrl-C, and close the pages."""
    pages.ended()
    with until_interrupted():
        say("the run has ended; the dashboard shows it until Ctrl-C")
        threading.Event().wait()
    pages.close()


def open_pages(
    web: str,
    state: ManagerState,
    status: Callable[[], dict[str, Any]] | None = None,
    acts: Mapping[str, Act] = MappingProxyType({}),
) -> Dashboard:
    """A dashboard, whose address is told.

    Args:
        web: `PORT`, on loopback, or `IP:PORT`.
        state, status, acts: see `Dashboard`.

    Raises:
        typer.BadParameter: the address is none. TTError: the extra is not installed, or the port is in use.
    """
    host, port = address(web)
    with wanted_by("--web"):
        from ticktalk.web.server import Dashboard
    made = Dashboard(state, status, acts, port, host)
    if not is_loopback(host):
        say(
            f"warning: the dashboard at {host} is not encrypted: its token, which lets others deploy and stop, can be"
            " read on the way there; `--web PORT` and a tunnel (`ssh -L`) are safe"
        )
    say(f"the dashboard is at {made.address}")
    return made


def address(web: str) -> tuple[str, int]:
    """The address and the port of `--web`.

    Raises:
        typer.BadParameter: it is none.
    """
    host, _, port = web.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise typer.BadParameter(f"--web {web}: give a port, such as 8080 (0: any), or an address of this host with it")
    return host.strip("[]") or "127.0.0.1", int(port)


def acts(manager: TTRuntimeManagerPhysical) -> dict[str, Act]:
    """The acts of a page, by name: each takes the fields of the request, and says what was done.

    Raises:
        TTError, ValueError: it cannot be done. KeyError: a field is missing. TypeError: one is of another type.
    """

    def start(asked: dict[str, Any]) -> str:
        inputs = {_text(name): arguments.value(_text(value)) for name, value in dict(asked.get("inputs", {})).items()}
        number = manager.execute_graph(_text(asked["graph"]), inputs, again=bool(asked.get("again", False)))
        return f"{asked['graph']} starts (context {number})"

    def stop(asked: dict[str, Any]) -> str:
        lost = manager.stop_graph(_text(asked["graph"]))
        return f"{asked['graph']} is stopped{': ' + losses_text(lost) if lost else ''}"

    def drain(asked: dict[str, Any]) -> str:
        manager.drain(_text(asked["ensemble"]))
        return f"{asked['ensemble']} is drained, and has left"

    def set_grid(asked: dict[str, Any]) -> str:
        changes = [f"{name}={_text(asked[name])}" for name in ("period", "phase") if name in asked]
        try:
            manager.set_grid(_text(asked["graph"]), _text(asked["sq"]), **arguments.grid_changes(changes))
        except typer.BadParameter as error:
            raise TTError(error.message) from None
        return f"{asked['sq']}: {', '.join(changes)}"

    def deploy(asked: dict[str, Any]) -> str:
        name = Path(_text(asked["file"])).name
        if not name.endswith((".py", ".json")):
            raise TTError(f"{name}: a program (.py) or a compiled graph (.json) is wanted")
        with tempfile.TemporaryDirectory(prefix="ticktalk-") as folder:
            path = Path(folder, name)
            path.write_text(_text(asked["text"]), encoding="utf-8")
            try:
                graph = arguments.load_graph(str(path))
            except TTError as error:
                raise TTError(str(error).replace(f"{folder}/", "")) from None
        state = manager.instantiate_and_map_graph(graph, name=_text(asked.get("name", "")) or None)
        return f"{state.name} is ready: {len(state.host_of)} SQs on {len(state.hosts)} hosts"

    return {"start": start, "stop": stop, "drain": drain, "set": set_grid, "deploy": deploy}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is wanted, not {value!r:.80}")
    return value
