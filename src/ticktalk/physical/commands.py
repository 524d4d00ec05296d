"""Commands of other processes to a running manager: translated into its messages, and its answers back.

Questions come on one key: `{"do": ..., ...}`; answers are MessagePack, refusals text. A command that follows outputs
asks again from time to time; as long as it does, it is sent each row.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any, Literal

import msgspec

from ticktalk.errors import TTError, TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.manager.state import ContextState, GraphState, ManagerState
from ticktalk.mapping.weights import Weights
from ticktalk.messages import ROWS, Message, NetMsg, RuntimeMsg, message
from ticktalk.network_interface import Question
from ticktalk.network_keys import COMMAND
from ticktalk.payloads import (
    DeployRequest,
    DrainRequest,
    OutputsRequest,
    SetRequest,
    StartRequest,
    StatusRequest,
    StopRequest,
)
from ticktalk.physical.manager_node import ManagerNode, failure
from ticktalk.physical.trust.identity import Known
from ticktalk.physical.trust.questions import Asked
from ticktalk.ranges import Name
from ticktalk.records import ArcToken, WatchRequest
from ticktalk.replacement import WATCH, ReplaceRequest
from ticktalk.time.grid import period_of
from ticktalk.values.codec import Encoded

FOLLOWED = 30.0
"""Seconds for which a command is sent rows after it has asked."""

FOLLOWERS = 100
"""Commands that follow outputs at a time."""


Followed = tuple[str, str]
"""A graph that a command follows, and one of its arcs, or "": its outputs."""


MESSAGE_OF = {
    "deploy": RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH,
    "replace": RuntimeMsg.REPLACE,
    "start": RuntimeMsg.EXECUTE_GRAPH,
    "stop": RuntimeMsg.STOP_GRAPH,
    "drain": RuntimeMsg.DRAIN,
    "set": RuntimeMsg.SET_GRID,
    "status": RuntimeMsg.STATUS,
    "ensembles": RuntimeMsg.ENSEMBLES,
    "outputs": RuntimeMsg.OUTPUTS,
    "watch": RuntimeMsg.WATCH_ARC,
    "shut down": RuntimeMsg.SHUT_DOWN,
}
"""The message that each command is for the manager."""


class Command(msgspec.Struct, omit_defaults=True):
    """The question of a command.

    Attributes:
        do: one of `MESSAGE_OF`.
        graph: a graph's name; for "deploy" and "replace" the name to give it, or "".
        json: (deploy, replace) the graph's file content.
        mapping: (deploy, replace) SQ to ensemble.
        weights: (deploy, replace) the costs of SQs.
        inputs: (start, replace) the inputs as one encoded dict.
        drop_state: (replace) SQs that begin without their state.
        watch: (replace) root ticks for which the new version is watched.
        again: (start) even if it runs.
        start_tick: (start) when (root ticks); None: at once.
        name: (drain) the ensemble; (set) the SQ; (watch) the arc.
        period, phase: (set) root ticks; None: as it is.
        per: (set) so many periods take `period` ticks.
        follow: (outputs, watch) "begin" and "renew": it is to be sent those to come, too; "renew": it has those before.
    """

    do: Name
    graph: Name = ""
    json: bytes = b""
    mapping: dict[Name, Name] | None = None
    weights: Weights | None = None
    inputs: bytes = b""
    again: bool = False
    name: Name = ""
    period: int | None = None
    phase: int | None = None
    per: int = 1
    start_tick: int | None = None
    follow: Literal["", "begin", "renew"] = ""
    drop_state: list[Name] = []
    watch: int = WATCH

    @property
    def kind(self) -> RuntimeMsg:
        """The kind of its message to the manager.

        Raises:
            TTError: the manager knows no such command.
        """
        if self.do not in MESSAGE_OF:
            raise TTError(f"the manager knows no command {self.do!r}: install the same version of ticktalk on both")
        return MESSAGE_OF[self.do]

    def request(self, reply: Future[Any]) -> Any:
        """The content of that message; the manager answers to `reply`. Reading a graph takes its time.

        Raises:
            TTError: the graph is none.
        """
        match self.do:
            case "deploy":
                graph = TTGraph.from_json(self.json, "the graph sent")
                return DeployRequest(graph, self.graph or None, self.mapping, reply, self.weights)
            case "replace":
                graph = TTGraph.from_json(self.json, "the graph sent")
                name, inputs, watch = self.graph or None, _inputs(self.inputs), max(0, self.watch)
                return ReplaceRequest(graph, name, self.drop_state, watch, inputs, self.mapping, self.weights, reply)
            case "start":
                return StartRequest(self.graph, _inputs(self.inputs), self.start_tick, reply, again=self.again)
            case "stop":
                return StopRequest(self.graph, reply)
            case "drain":
                return DrainRequest(self.name, reply)
            case "set":
                period = None if self.period is None else period_of(self.period, max(1, self.per))
                return SetRequest(self.graph, self.name, period, self.phase, reply)
            case "outputs":
                return OutputsRequest(self.graph, reply)
            case "watch":
                return WatchRequest(self.graph, self.name, reply)
        return StatusRequest(reply)

    def told(self, result: Any, state: ManagerState) -> Any:
        """The manager's answer as the command gets it."""
        if isinstance(result, GraphState):
            return {"graph": result.title, "mapping": result.host_of}
        if self.do == "start":
            return {"context": result, "start_tick": _context(state, self.graph, result).start_tick}
        if self.do == "outputs":
            return {"rows": result if self.follow != "renew" else []}
        if self.do == "watch":
            return {"arc": result}
        return {} if result is None else msgspec.to_builtins(result)


def _context(state: ManagerState, graph: str, number: int) -> ContextState:
    found = state.graph(graph)
    if found is None or number not in found.contexts:  # an answer waits until the state is on disk
        raise TTRuntimeError(f"graph {graph!r} started (context {number}), and was stopped before that could be told")
    return found.contexts[number]


def _inputs(inputs: bytes) -> dict[str, Encoded]:
    """The values of an encoded dict with names, unopened."""
    raw = msgspec.msgpack.decode(inputs, type=dict[Name, msgspec.Raw]) if inputs else {}
    return {name: Encoded(bytes(value)) for name, value in raw.items()}


class Commands:
    """Answers commands; everything runs in the thread that keeps time.

    Args:
        manager: the running manager; its link is open.
    """

    def __init__(self, manager: ManagerNode) -> None:
        self._manager = manager
        self._guard = manager.trust.guard
        self._followers: dict[str, tuple[Followed, float]] = {}  # what each follows, until when
        manager.node.take_control[RuntimeMsg.ARC_TOKEN] = self._publish_token
        manager.process.outputs.row_listeners.append(self._publish)
        manager.answer(COMMAND, self._answer)

    def _answer(self, question: Question, asked: Asked) -> None:
        reply: Future[Any] = Future()
        try:
            command = msgspec.msgpack.decode(asked.body, type=Command)
            self._check(asked.requester, command)  # before it is read any further
            told = message(command.kind, command.request(reply))
        except (TTError, msgspec.DecodeError, ValueError) as error:
            question.answer(asked.answer(False, str(error).encode()))
            return

        def settled(future: Future[Any]) -> None:
            try:
                told = msgspec.msgpack.encode(command.told(future.result(), self._manager.process.state))
                if command.follow:
                    self._follow(asked, (command.graph, future.result() if command.do == "watch" else ""))
            except Exception as error:
                question.answer(asked.answer(False, failure(error).encode("utf-8", "replace")))
                if not isinstance(error, TTError):
                    raise  # a defect of ours
            else:
                question.answer(asked.answer(True, told))

        reply.add_done_callback(settled)
        self._manager.node.receive(told)

    def _check(self, requester: Known, command: Command) -> None:
        senders = ROWS[command.kind].senders
        if requester.role not in senders:
            self._manager.node.own["unauthorized"] += 1
            least = senders[-1]
            raise TTError(
                f"the credentials of {requester.name!r} give the role {requester.role}, which may not ask for"
                f" {command.do!r}: use a bundle issued with `ticktalk keys issue NAME --role {least}`"
            )

    def _follow(self, asked: Asked, followed: Followed) -> None:
        now = time.monotonic()
        for name in [name for name, (_, until) in self._followers.items() if until < now]:
            self._guard.forget(name)
            del self._followers[name]
        name = self._guard.admit_alias(asked.badge)
        if name not in self._followers and len(self._followers) >= FOLLOWERS:
            self._guard.forget(name)
            raise TTError(f"{FOLLOWERS} commands follow outputs or arcs already: end one of them, or ask once only")
        self._followers[name] = (followed, now + FOLLOWED)

    def _publish(self, graph: str, row: str) -> None:
        self._send((graph, ""), message(NetMsg.ROW, row))

    def _publish_token(self, token: ArcToken, stamp: int) -> None:
        graph = self._manager.process.state.graphs.get(token.graph)
        title = token.graph if graph is None else graph.title
        self._send((title, token.arc), message(NetMsg.ARC_ROW, msgspec.structs.replace(token, graph=title)))

    def _send(self, followed: Followed, row: Message) -> None:
        for name, (wanted, until) in self._followers.items():
            if wanted == followed and time.monotonic() < until:
                self._manager.node.send(name, row)
