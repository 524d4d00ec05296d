"""`deploy`, `start`, `stop`, `drain`, `set`, `status`, `outputs`: requests to a manager that runs elsewhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.console import started
from ticktalk.cli.placement import over_joined
from ticktalk.cli.signals import until_interrupted
from ticktalk.cli.streams import say
from ticktalk.cli.tables import add, status_tables, table, terminal
from ticktalk.defaults import PATIENCE
from ticktalk.durations import duration_text, period_text
from ticktalk.errors import TTError
from ticktalk.manager.events import Replaced, losses_text
from ticktalk.manager.status import entry_of
from ticktalk.mapping.deployment_file import read_deployment
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.mapping_file import read_mapping
from ticktalk.mapping.weights import Weights
from ticktalk.printable import escaped
from ticktalk.replacement import REST_LIMIT, WATCH, Changes
from ticktalk.time.grid import period_of

if TYPE_CHECKING:
    from ticktalk.physical.trust.trust import Trust

ANSWER_LIMIT = 30.0
"""Seconds in which a manager answers."""

PREPARE_LIMIT = ANSWER_LIMIT + PATIENCE / 1e6
"""Seconds in which a graph is prepared, or refused: a deployment that failed leaves nothing behind."""

FOLLOW_AGAIN = 3.0
"""Seconds after which a command that follows outputs asks for them again."""

FOLLOW_LIMIT = 10.0
"""Seconds in which that is answered, or the manager is gone."""

ROWS_WAIT = 100_000
"""Rows that wait to be printed; beyond that the stalest go."""


def deploy(
    program: options.Program,
    manager: options.Manager,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What to call the graph there; default: its program's stem.")
    ] = "",
    deployment: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML: ensembles, links, costs; maps over those that have joined."),
    ] = None,
    mapping: options.Mapping = None,
    start: Annotated[bool, typer.Option("--start", help="Start it when it is ready.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the graph of this name, with its state, as it runs.")
    ] = False,
    drop_state: Annotated[
        list[str] | None,
        typer.Option("--drop-state", metavar="SQ-NAME", help="(--replace) An SQ whose state is not carried over."),
    ] = None,
    watch: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="(--replace) How long it is watched: if it fails, the old version comes back; 0s: not."
            f" Default: {duration_text(WATCH)}.",
        ),
    ] = None,
    start_at: options.StartAt = None,
    input: options.Inputs = None,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
    of: options.Graph = None,
) -> None:
    from ticktalk.values.codec import encode_value

    graph = arguments.load_graph(program, of)
    values = arguments.inputs(input or [])
    if replace and start:
        raise typer.BadParameter("--start with --replace: what is replaced goes on, started as it was")
    for option, value in (("--drop-state", drop_state), ("--watch", watch)):
        if value and not replace:
            raise typer.BadParameter(f"{option} is for a version that replaces another: give --replace, too")
    watched = WATCH if watch is None else arguments.duration(watch, "--watch")
    if (values or start_at is not None) and not (start or (replace and start_at is None)):
        raise typer.BadParameter(f"{'--input' if values else '--start-at'} is for a start: give --start, too")
    at = None if start_at is None else arguments.start_tick(start_at)
    planned = read_deployment(deployment) if deployment is not None else None
    made = read_mapping(mapping) if mapping is not None else None
    with Remote(manager, credentials) as remote:
        host_of = None
        if planned is not None or made is not None:
            joined = msgspec.convert(remote.ask(do="ensembles"), list[EnsembleInfo])
            if planned is not None:
                host_of = over_joined(graph, planned, made, joined, manager)
            elif made is not None:
                host_of = made.check(graph, joined, "has not joined")
        weights = None if planned is None else Weights.of(planned)
        given = {"graph": name, "json": graph.to_json(), "mapping": host_of, "weights": weights}
        if replace:
            say(f"replacing, then watching the new version for {duration_text(watched)}" if watched else "replacing")
            limit = PREPARE_LIMIT + (REST_LIMIT + watched) / 1e6
            more = {"drop_state": drop_state or [], "watch": watched, "inputs": encode_value(values)}
            answer = remote.ask(limit, do="replace", **given, **more)
            changes = msgspec.convert(answer, Changes)
            _tell(answer, as_json, str(Replaced(changes)))
            return
        answer = remote.ask(PREPARE_LIMIT, do="deploy", **given)
        _tell(answer, as_json, f"{answer['graph']} is ready")
        if start:
            _start(remote, answer["graph"], values, as_json, at=at)


def start(
    graph: Annotated[str, typer.Argument(help="The graph's name.")],
    manager: options.Manager,
    input: options.Inputs = None,
    start_at: options.StartAt = None,
    again: Annotated[bool, typer.Option("--again", help="Start another context of a graph that runs.")] = False,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
) -> None:
    with Remote(manager, credentials) as remote:
        at = None if start_at is None else arguments.start_tick(start_at)
        _start(remote, graph, arguments.inputs(input or []), as_json, again, at)


def stop(
    manager: options.Manager,
    graph: Annotated[str | None, typer.Argument(help="The graph's name; without one, the whole system ends.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="End the whole system without asking.")] = False,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
) -> None:
    if graph is None and not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(
                "stop without a GRAPH ends the whole system, the manager and every ensemble: give --yes if you mean it"
            )
        typer.confirm(f"End the whole system at {manager}, the manager and every ensemble?", abort=True, err=True)
    with Remote(manager, credentials) as remote:
        answer = remote.ask(do="stop" if graph is not None else "shut down", graph=graph or "")
    losses = {graph: answer} if graph is not None else answer
    if as_json:
        print(json.dumps(losses))
        return
    say(f"{graph or 'the system'} is stopped")
    for name, lost in losses.items():
        if lost:
            say(f"{name}: {losses_text(lost)}")


def drain(
    ensemble: Annotated[str, typer.Argument(metavar="NAME", help="The ensemble.")],
    manager: options.Manager,
    credentials: options.Credentials = None,
) -> None:
    with Remote(manager, credentials) as remote:
        remote.ask(do="drain", name=ensemble)
    say(f"{ensemble} is drained, and has left")


def set_grid(
    graph: Annotated[str, typer.Argument(help="The graph's name.")],
    sq: Annotated[str, typer.Argument(metavar="SQ-NAME", help="A stream's SQ, such as sample-1.")],
    changes: Annotated[list[str], typer.Argument(metavar="period=DURATION|phase=DURATION...", help="Such as 250ms.")],
    manager: options.Manager,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
) -> None:
    given = arguments.grid_changes(changes)
    period = given.get("period")
    if period is not None:
        given.update(period=period.numerator, per=period.denominator)
    with Remote(manager, credentials) as remote:
        answer = remote.ask(do="set", graph=graph, name=sq, **given)
    if as_json:
        print(json.dumps(answer))
    else:
        every = period_text(period_of(answer["period"], answer["per"]))
        phase, width = duration_text(answer["phase"]), duration_text(answer["width"])
        say(f"{answer['sq']}: period {every}, phase {phase}, interval width {width}")


def status(
    manager: options.Manager,
    graph: Annotated[str | None, typer.Argument(help="Show this graph only.")] = None,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
) -> None:
    with Remote(manager, credentials) as remote:
        found = remote.ask(do="status")
    if graph is not None:
        found["graphs"] = [entry_of(found, graph)]
    if as_json:
        print(json.dumps(found))
        return
    console = terminal()
    for shown in status_tables(found):
        console.print(shown)


def outputs(
    graph: Annotated[str, typer.Argument(help="The graph's name.")],
    manager: options.Manager,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
) -> None:
    with Remote(manager, credentials) as remote:
        coming = remote.coming() if follow else None
        rows = remote.ask(do="outputs", graph=graph, follow="begin" if follow else "")["rows"]
        for row in rows:
            print(escaped(row))
        sys.stdout.flush()
        known = set(rows[-200:])
        asked, told = time.monotonic(), 0
        with until_interrupted():
            while coming is not None:
                row = coming.get(FOLLOW_AGAIN)
                if lost := coming.lost - told:
                    say(f"{lost} rows are left out: they came faster than they are printed")
                    told += lost
                if row is not None and row not in known:  # one that came during the question came both ways
                    known.clear()
                    print(escaped(row), flush=True)
                if time.monotonic() - asked >= FOLLOW_AGAIN:
                    remote.ask(FOLLOW_LIMIT, do="outputs", graph=graph, follow="renew")
                    asked = time.monotonic()


def _start(
    remote: Remote, graph: str, values: dict[str, Any], as_json: bool, again: bool = False, at: int | None = None
) -> None:
    from ticktalk.values.codec import encode_value

    answer = remote.ask(do="start", graph=graph, inputs=encode_value(values), again=again, start_tick=at)
    _tell(answer, as_json, started(graph, answer["context"], at))


def _tell(answer: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print(json.dumps(answer))
        return
    say(text)
    if "mapping" in answer:
        hosts = table("ensemble", "SQs")
        by_host: dict[str, list[str]] = {}
        for sq, host in answer["mapping"].items():
            by_host.setdefault(host, []).append(sq)
        for host, sqs in by_host.items():
            add(hosts, host, ", ".join(sqs))
        terminal().print(hosts)


class CommandRefused(TTError):
    """The manager has answered, and does not do what it was asked."""


class Remote:
    """A short session with a manager.

    Args:
        manager: its address, `IP:PORT`.
        credentials: a bundle of keys, or None.

    Raises:
        TTError: no manager answers there.
    """

    def __init__(self, manager: str, credentials: str | None) -> None:
        from ticktalk.physical.limits import COMMAND, check_limits
        from ticktalk.physical.network.joining import client
        from ticktalk.physical.trust.trust import Trust

        check_limits(COMMAND)
        self._manager = arguments.address(manager, "--manager")
        self._trust = Trust("command", "operator", credentials, self._manager)
        try:
            self._link = client(self._manager, self._trust)
        except TTError:
            raise self._nobody() from None

    def ask(self, limit: float = ANSWER_LIMIT, /, **question: Any) -> Any:
        """Ask, and give the answer within so many seconds.

        Raises:
            CommandRefused: the manager refuses. TTError: it does not answer.
        """
        from ticktalk.network_keys import COMMAND
        from ticktalk.physical.commands import Command
        from ticktalk.physical.network.joining import question as ask

        began = time.monotonic()

        def unanswered() -> None:
            late = time.monotonic() - began >= limit
            how = f"has not answered within {limit:g}s" if late else "ended before it answered"
            raise TTError(
                f"the manager at {self._manager} {how}: it may have done what it was asked; look with `ticktalk status`"
            )

        command = msgspec.msgpack.encode(Command(**question))
        answer = ask(self._link, COMMAND, command, self._trust, limit, unanswered)
        if answer is None:
            raise self._nobody()
        self._trust.guard.admit(answer.badge, answer.manager)
        if not answer.accepted:
            raise CommandRefused(answer.payload.decode("utf-8", "replace"))
        return msgspec.msgpack.decode(answer.payload)

    def _nobody(self) -> TTError:
        from ticktalk.physical.network.probing import why_nobody

        return TTError(why_nobody(self._manager, self._trust))

    def coming(self) -> Coming:
        """The rows that the manager sends from now on."""
        from ticktalk.network_keys import control_key

        coming = Coming(self._trust)
        self._link.subscribe(control_key(self._trust.guard.alias), coming.put)
        return coming

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *error: object) -> None:
        self._link.close()


class Coming:
    """The rows of outputs that a manager sends; it has been asked for them, so what it seals is known.

    Attributes:
        lost: how many were left out, as more than `ROWS_WAIT` waited.
    """

    def __init__(self, trust: Trust) -> None:
        self.lost = 0
        self._trust = trust
        self._frames: deque[bytes] = deque(maxlen=ROWS_WAIT)
        self._came = threading.Event()

    def put(self, frame: bytes, attached: bytes | None) -> None:
        """Take one; called in a thread of the network's."""
        self.lost += len(self._frames) == ROWS_WAIT
        self._frames.append(frame)
        self._came.set()

    def get(self, limit: float) -> Any:
        """The next one, as its message carries it; None: there is none within so many seconds, or not the manager's."""
        from ticktalk.physical.network.control_frames import parse_control
        from ticktalk.physical.network.frames import FrameError

        if not self._frames:
            self._came.clear()
            if not self._frames and not self._came.wait(limit):
                return None
        try:
            opened = self._trust.guard.open(self._frames.popleft())
            return parse_control(opened.body, opened).payload
        except FrameError:
            return None
