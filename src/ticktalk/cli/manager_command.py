"""`ticktalk manager`: the user's console. Watch ensembles join, deploy, start, follow outputs, status, stop.

Without a terminal it only serves the other commands.
"""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.console import for_people, started
from ticktalk.cli.dashboard import dashboard
from ticktalk.cli.priority import keep_time
from ticktalk.cli.record import DeviceRecording
from ticktalk.cli.record import record_outputs as outputs_to
from ticktalk.cli.signals import on_interrupt
from ticktalk.cli.streams import say
from ticktalk.cli.tables import status_tables, terminal
from ticktalk.defaults import CHECKPOINT_PERIOD, DEFAULT_RUNTIME_MANAGER_NAME, MAX_VALUE, RX_PORT, WORKERS
from ticktalk.durations import duration_text
from ticktalk.errors import TTError
from ticktalk.manager.events import Restarted, losses_text
from ticktalk.payloads import OutputToken
from ticktalk.physical.workers.native_output import shown_apart
from ticktalk.printable import block
from ticktalk.replacement import WATCH
from ticktalk.runtime_manager import TTRuntimeManagerPhysical
from ticktalk.source_problems import did_you_mean

if TYPE_CHECKING:
    from ticktalk.cli.prompt import Prompt

HELP = """\
deploy PROGRAM|GRAPH.json [NAME] [--graph NAME]
                                   map a graph, distribute it, wait until it is ready; --graph: which of the program's
deploy PROGRAM|GRAPH.json [NAME] --replace [--watch 10s] [--drop-state SQ ...]
                                   let the graph of this name go on as this version, with its state
start GRAPH [--again] [--start-at TIME] [INPUT=VALUE ...]
                                   start it, at once or at a time; --again: another context, though it runs
follow [GRAPH]                     show its outputs as they come (again: stop showing them)
rates                              outputs per second of each graph
status                             ensembles, graphs, counters, errors
stop GRAPH                         end it
drain ENSEMBLE                     move all that lives there to others, then let it end
set GRAPH SQ [period=..] [phase=..]
                                   change a stream while it runs, such as period=250ms
quit                               end the manager; ensembles wait for the next
shutdown                           end the manager and every ensemble"""


COMPLETED = sorted({line.split()[0] for line in HELP.splitlines() if line[0] != " "} | {"help"})
"""The commands, as a completion gives them."""


def manager(
    ip: Annotated[str, typer.Option(metavar="ADDRESS", help="The address on which ensembles reach it.")] = "127.0.0.1",
    rx_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="The port on which it listens; 0: any that is free.")
    ] = RX_PORT,
    tx_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="The local port of outgoing connections; 0: any.")
    ] = 0,
    log: options.Log = None,
    component: options.OwnComponents = None,
    workers: options.Workers = WORKERS,
    max_value: options.MaxValue = MAX_VALUE,
    worker_memory: options.WorkerMemory = "0",
    realtime: options.Realtime = False,
    cpus: options.Cpus = None,
    checkpoint: options.Checkpoint = duration_text(CHECKPOINT_PERIOD),
    record: options.Record = None,
    record_outputs: options.RecordOutputs = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="A folder for what the manager knows: should it be killed, the next one goes on where it was."
            " Default: beside the log; without a log it is not kept. `none`: it is not kept.",
        ),
    ] = None,
    otel: options.Otel = None,
    web: options.Web = None,
    credentials: options.OwnCredentials = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Go without keys on an address others reach.")] = False,
) -> None:
    arguments.check_different({}, record=record, log=log, record_outputs=record_outputs)
    stopped = threading.Event()
    save_every = arguments.duration(checkpoint, "--checkpoint")
    memory = arguments.worker_memory(worker_memory, workers)
    keep_time(realtime, cpus, workers)
    runtime = TTRuntimeManagerPhysical(
        log,
        arguments.own_ip(ip),
        rx_port,
        tx_port,
        components=arguments.own_components(component or []),
        workers=workers,
        max_value=max_value,
        worker_memory=memory,
        credentials=credentials,
        insecure=insecure,
        near=str(Path.cwd()),
        checkpoint=save_every,
        state=state_folder(state, log),
    )
    everything = False
    recording = DeviceRecording(record, runtime, {}, otel)

    def shut_down() -> None:
        nonlocal everything
        everything = True
        stopped.set()

    runtime.on_shut_down(shut_down)
    pages = ExitStack()
    outputs_recorded = outputs_to(record_outputs, runtime, {}, pages)
    try:
        dashboard(web, runtime, pages)
        if sys.stdin.isatty() and sys.stdout.isatty():
            on_interrupt(stopped.set)
            console = _Console(runtime, stopped)
            tell_if_forgotten(state, log)
            with console.prompt() as prompt:
                threading.Thread(target=console.read, args=(prompt.ask,), daemon=True).start()
                while not stopped.wait(0.2):
                    pass
            everything = everything or console.everything
        else:
            runtime.on_event(say)
            runtime.on_error(say)
            on_interrupt(stopped.set)
            say(f"the manager listens at {runtime.address}{_since(runtime)}")
            tell_if_forgotten(state, log)
            with shown_apart(DEFAULT_RUNTIME_MANAGER_NAME, not workers):
                while not stopped.wait(0.2):
                    pass
    finally:
        outputs_recorded()
        if record is not None or otel is not None:
            status = runtime.status()
            recording.look(status)
            for graph in status["graphs"]:
                with suppress(TTError):  # it is not ready yet
                    runtime.stop_graph(graph["name"])
            recording.finish()
        pages.close()
        runtime.stop(ensembles=everything)


def state_folder(state: str | None, log: Path | None) -> str | None:
    """The folder of the state: as it is given; else beside the log, if that is a file, or will be; or none."""
    if state is None:
        beside = log is not None and (log.is_file() or (not log.exists() and log.parent.is_dir()))
        return f"{log}.state" if beside else None
    return None if state == "none" else state


def tell_if_forgotten(state: str | None, log: Path | None) -> None:
    """Say that the next manager will not go on, where nobody has asked for that."""
    if state is None and state_folder(state, log) is None:
        say("this manager keeps no state: after a kill, the next one begins anew; --state DIR keeps it")


def _since(runtime: TTRuntimeManagerPhysical) -> str:
    """The legacy of a manager that was killed, for this one."""
    state = runtime.process.state
    return f"; {Restarted(state.titles, list(state.awaited))}" if state.awaited or state.graphs else ""


class _Console:
    """Reads commands from the terminal and shows events, errors and outputs."""

    def __init__(self, runtime: TTRuntimeManagerPhysical, stopped: threading.Event) -> None:
        self._runtime = runtime
        self._stopped = stopped
        self._console = terminal()
        self._followed: set[str] = set()
        self._counts: dict[str, int] = {}
        self._since = time.monotonic()
        self.everything = False
        runtime.on_event(lambda event: self._print(event, "cyan"))
        runtime.on_error(lambda error: self._print(error, "red"))
        runtime.on_output(self._output)
        self._console.print(
            f"the manager listens at {runtime.address}{_since(runtime)}; on each device:"
            f" ticktalk ensemble NAME --manager {runtime.address}\n'help' lists what can be done here"
        )

    def prompt(self) -> Prompt:
        """Asks for commands at the terminal."""
        from ticktalk.cli.prompt import Prompt  # slow to load, and often there is no terminal

        return Prompt("ticktalk> ", self.words)

    def words(self, typed: Sequence[str]) -> Iterable[object]:
        """The words that may follow those typed so far; `prompt.FILE` stands for files."""
        from ticktalk.cli.prompt import FILE

        state = self._runtime.process.state
        match typed:
            case []:
                return COMPLETED
            case ["deploy"]:
                return [FILE]
            case ["deploy", *_]:
                return ["--graph", "--replace", "--watch", "--drop-state"]
            case ["start" | "stop" | "follow" | "set"]:
                return state.titles
            case ["start", *_]:
                return ["--again", "--start-at"]
            case ["set", graph]:
                known = list(state.graphs.values())
                return [sq.name for each in known if each.title == graph for sq in each.graph.sqs]
            case ["set", _, _, *_]:
                return ["period=", "phase="]
            case ["drain"]:
                return [name for name in list(state.ensembles) if name != DEFAULT_RUNTIME_MANAGER_NAME]
        return []

    def read(self, ask: Callable[[], str]) -> None:
        """Read and do commands until the end."""
        while not self._stopped.is_set():
            try:
                line = ask()
            except EOFError:
                break
            try:
                self._do(shlex.split(line))
            except (TTError, typer.BadParameter, ValueError) as error:
                self._print(error, "red")
        self._stopped.set()

    def _do(self, words: list[str]) -> None:
        match words:
            case []:
                pass
            case ["help" | "?", *_]:
                self._console.print(HELP)
            case ["deploy", *given]:
                self._deploy(given)
            case ["start", graph_name, *given]:
                when = _option(given, "--start-at")
                at = None if when is None else arguments.start_tick(when)
                values = arguments.inputs([word for word in given if word != "--again"])
                number = self._runtime.execute_graph(graph_name, values, again="--again" in given, start_tick=at)
                self._print(started(graph_name, number, at))
            case ["follow", *names]:
                titles = self._runtime.process.state.titles
                for followed in names or titles:
                    self._followed ^= {followed}
                    if followed in self._followed and followed not in titles:
                        self._print(f"there is no graph {followed!r} here yet")
            case ["rates"]:
                self._rates()
            case ["status"]:
                for table in status_tables(self._runtime.status()):
                    self._console.print(table)
            case ["stop", graph_name]:
                lost = self._runtime.stop_graph(graph_name)
                self._print(f"{graph_name} is stopped{': ' + losses_text(lost) if lost else ''}")
            case ["drain", name]:
                self._runtime.drain(name)
            case ["set", graph_name, sq, *changes] if changes:
                self._runtime.set_grid(graph_name, sq, **arguments.grid_changes(changes))
            case ["quit" | "exit"]:
                self._stopped.set()
            case ["shutdown"]:
                self.everything = True
                self._stopped.set()
            case _:
                self._print(_not_understood(words))

    def _deploy(self, given: list[str]) -> None:
        of, watch = _option(given, "--graph"), _option(given, "--watch")
        dropped = []
        while (sq := _option(given, "--drop-state")) is not None:
            dropped.append(sq)
        replaces = "--replace" in given
        names = [word for word in given if word != "--replace"]
        if not 1 <= len(names) <= 2 or ((dropped or watch) and not replaces):
            raise ValueError(_not_understood(["deploy", *given]))
        graph, name = arguments.load_graph(names[0], of), names[1] if len(names) > 1 else None
        if replaces:
            watched = WATCH if watch is None else arguments.duration(watch, "--watch")
            self._print(
                f"replacing, then watching the new version for {duration_text(watched)}" if watched else "replacing"
            )
            self._runtime.replace_graph(graph, name=name, drop_state=dropped, watch=watched)
            self._print(f"{name or graph.name} is replaced")
        else:
            state = self._runtime.instantiate_and_map_graph(graph, name=name)
            self._print(f"{state.graph.name} is ready: {len(state.host_of)} SQs on {len(state.hosts)} hosts")

    def _print(self, text: object, style: str | None = None) -> None:
        self._console.print(block(text), style=style)

    def _output(self, token: OutputToken) -> None:
        self._counts[token.graph] = self._counts.get(token.graph, 0) + 1
        if token.graph in self._followed:
            self._print(f"{token.graph} {for_people(token)}")

    def _rates(self) -> None:
        now = time.monotonic()
        for graph, count in self._counts.items():
            self._print(f"{graph}: {count / (now - self._since):.1f} outputs/s")
        self._counts, self._since = {}, now


def _not_understood(words: list[str]) -> str:
    """The form of a command that is there, or a command that seems to be meant."""
    forms = [line.partition("  ")[0] for line in HELP.splitlines() if line.split()[0] == words[0] and line[0] != " "]
    if forms:
        return "write: " + "\n   or: ".join(forms)
    hint = did_you_mean(words[0], COMPLETED) or "'help' lists what can be done here"
    return f"not understood: {' '.join(words)}; {hint}"


def _option(words: list[str], name: str) -> str | None:
    """Take an option out of words: the word behind it; None: it is not given.

    Raises:
        ValueError: no word is behind it.
    """
    if name not in words:
        return None
    at = words.index(name)
    if at + 1 == len(words):
        raise ValueError(f"{name} wants a value behind it")
    words.pop(at)
    return words.pop(at)
