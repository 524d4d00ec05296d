"""What other commands ask of a running manager: deploy, start, stop, drain, set, status, outputs.

Questions come as queries on one key: MessagePack `{"do": ..., ...}`; answers are MessagePack, refusals text. Outputs
are published on a key per graph.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from ticktalk.engine.codec import decode_value
from ticktalk.errors import TTError
from ticktalk.graph.graph import TTGraph
from ticktalk.json_text import json_line
from ticktalk.manager.deployments import GraphState
from ticktalk.mapping.weights import Weights
from ticktalk.messages import Message, RuntimeMsg
from ticktalk.network_interface import Question
from ticktalk.network_keys import COMMAND, outputs_key
from ticktalk.payloads import DeployRequest, DrainRequest, OutputToken, SetGrid, SetRequest
from ticktalk.physical.manager_node import ManagerNode

OUTPUTS_KEPT = 1000
"""Output rows per graph that `outputs` shows to who comes late."""


class Command(msgspec.Struct, omit_defaults=True):
    """What a command asks.

    Attributes:
        do: "deploy", "start", "stop", "drain", "set", "status", "ensembles", "outputs" or "shut down".
        graph: a graph's name; for "deploy" the name to give it, or "".
        json: (deploy) the graph's file content.
        mapping: (deploy) SQ to ensemble.
        weights: (deploy) what SQs cost where.
        inputs: (start) the inputs as one encoded dict.
        name: (drain) the ensemble; (set) the SQ.
        period, phase: (set) root ticks; None: as it is.
    """

    do: str
    graph: str = ""
    json: bytes = b""
    mapping: dict[str, str] | None = None
    weights: Weights | None = None
    inputs: bytes = b""
    name: str = ""
    period: int | None = None
    phase: int | None = None


def _told(result: GraphState | SetGrid | None) -> Any:
    """What somebody is told who asked for what takes a while."""
    if isinstance(result, GraphState):
        return {"graph": result.graph.name, "mapping": result.host_of}
    return {} if result is None else msgspec.to_builtins(result)


class Commands:
    """Answers questions; everything runs in the thread that keeps time.

    Args:
        manager: the running manager.
    """

    def __init__(self, manager: ManagerNode) -> None:
        self._manager = manager
        self._rows: dict[str, list[str]] = {}
        self.shut_down: Callable[[], None] | None = None
        manager.process.outputs.listeners.append(self._output)

    def begin(self) -> None:
        """Answer from now on; once the link is open."""
        self._manager.node.link.answer(COMMAND, lambda question: self._manager.node.loop.post(self._answer, question))

    def _answer(self, question: Question) -> None:
        def reply(answer: Any) -> None:
            question.answer(msgspec.msgpack.encode(answer))

        try:
            answer = self._do(msgspec.msgpack.decode(self._manager.trust.open(question.payload), type=Command))
        except (TTError, msgspec.DecodeError, ValueError) as error:
            question.refuse(str(error))
            return
        if isinstance(answer, Future):

            def settled(future: Future[Any]) -> None:
                error = future.exception()
                if error is not None:
                    question.refuse(str(error))
                else:
                    reply(_told(future.result()))

            answer.add_done_callback(settled)
        else:
            reply(answer)

    def _do(self, command: Command) -> Any:
        manager = self._manager
        if command.do == "deploy":
            graph = TTGraph.from_json(command.json, "the graph sent")
            request = DeployRequest(graph, command.graph or None, command.mapping, Future(), command.weights)
            message = Message(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, request, "TTRuntimeManagerProcess")
            manager.node.receive(message)
            return request.reply
        if command.do in ("drain", "set"):
            kind = RuntimeMsg.DRAIN
            order: DrainRequest | SetRequest = DrainRequest(command.name, Future())
            if command.do == "set":
                kind = RuntimeMsg.SET_GRID
                order = SetRequest(command.graph, command.name, command.period, command.phase, Future())
            manager.node.receive(Message(kind, order, "TTRuntimeManagerProcess"))
            return order.reply
        if command.do == "start":
            running = manager.start(command.graph, decode_value(command.inputs) if command.inputs else {})
            return {"context": running.number, "start_tick": running.start_tick}
        if command.do == "stop":
            manager.stop_graph(command.graph)
            self._rows.pop(command.graph, None)
            return {}
        if command.do == "status":
            return manager.status()
        if command.do == "ensembles":
            return msgspec.to_builtins(manager.process.registry.all())
        if command.do == "outputs":
            manager.process.deployments.state_of(command.graph)
            return {"rows": self._rows.get(command.graph, [])}
        if command.do == "shut down":
            if self.shut_down is not None:
                self.shut_down()
            return {}
        raise TTError(f"the manager knows no command {command.do!r}: install the same version of ticktalk on both")

    def _output(self, token: OutputToken) -> None:
        line = json_line(token.row())
        rows = self._rows.setdefault(token.graph, [])
        rows.append(line)
        if len(rows) > 2 * OUTPUTS_KEPT:
            del rows[:-OUTPUTS_KEPT]
        self._manager.node.link.publish(outputs_key(token.graph), line.encode())
