"""Messages between processes: their kinds, and one row for each that says all there is to say of it.

A `Message` tells a process of an ensemble something. Its kind is the member of an enum. The row of a kind in `ROWS`
gives its payload, the most bytes it may have, whether it crosses between devices, and whether it needs the manager's
signature. The family of a kind says which process it is for (`RECIPIENTS`); `message` addresses by it. Frames are
written and read by the rows (`physical/network/control_frames.py`). A process answers a kind by an entry in its
`handlers`.

To add a message: a member, a row, and a handler.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from ticktalk import memory_payloads as memory
from ticktalk import payloads as carry
from ticktalk.defaults import MAX_FRAME
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.network_keys import Path
from ticktalk.ranges import EnsembleName, Text
from ticktalk.records import ArcToken, Recorded, WatchArc, WatchRequest
from ticktalk.replacement import ReplaceRequest, Switch, Switched, TryStates

Role = Literal["manager", "ensemble", "operator", "viewer"]
"""The rights that a certificate gives: to place and run code; to join under its one name; to command; to look."""


class SyncMsg(enum.Enum):
    """Messages for a `TTInputTokenProcess`."""

    INSTANTIATE = enum.auto()
    START = enum.auto()
    INPUT_TOKEN = enum.auto()
    STOP = enum.auto()
    REPORT = enum.auto()
    PLACE = enum.auto()
    EXPECT = enum.auto()
    HAND_OVER = enum.auto()
    SET_GRID = enum.auto()
    WATCH = enum.auto()
    SWITCH = enum.auto()
    TRY = enum.auto()


class ExecuteMsg(enum.Enum):
    """Messages for a `TTExecuteProcess`."""

    INSTANTIATE = enum.auto()


class NetMsg(enum.Enum):
    """Messages for a `TTNetworkManager`."""

    JOIN = enum.auto()
    ROUTE = enum.auto()
    FORGET = enum.auto()
    REFUSED = enum.auto()
    SEND = enum.auto()
    PONG = enum.auto()
    ASK = enum.auto()
    TELL = enum.auto()
    OFFER = enum.auto()
    ACCEPTED = enum.auto()
    SETTLE = enum.auto()
    HOW_FAR = enum.auto()
    SO_FAR = enum.auto()
    TAKEN = enum.auto()
    OUTPUTS_TAKEN = enum.auto()
    REVOKED = enum.auto()
    ROW = enum.auto()
    ARC_ROW = enum.auto()
    SHUT_DOWN = enum.auto()


class RuntimeMsg(enum.Enum):
    """Messages for a `TTRuntimeManagerProcess`."""

    JOIN = enum.auto()
    LEAVE = enum.auto()
    INSTANTIATE_AND_MAP_GRAPH = enum.auto()
    READY = enum.auto()
    EXECUTE_GRAPH = enum.auto()
    OUTPUT_TOKENS = enum.auto()
    FIRING_ERROR = enum.auto()
    WORKER_DIED = enum.auto()
    RECORDED = enum.auto()
    ARC_TOKEN = enum.auto()
    STOP_GRAPH = enum.auto()
    PING = enum.auto()
    REPORT = enum.auto()
    BACK = enum.auto()
    DRAIN = enum.auto()
    REPLACE = enum.auto()
    SET_GRID = enum.auto()
    CHECKPOINT = enum.auto()
    PLACED = enum.auto()
    HANDED = enum.auto()
    SWITCHED = enum.auto()
    STATUS = enum.auto()
    ENSEMBLES = enum.auto()
    OUTPUTS = enum.auto()
    WATCH_ARC = enum.auto()
    PROFILE = enum.auto()
    SHUT_DOWN = enum.auto()
    # What TickTalk's documentation calls them.
    InstantiateAndMapGraph = INSTANTIATE_AND_MAP_GRAPH
    ExecuteGraphOnInputs = EXECUTE_GRAPH


MessageKind = SyncMsg | ExecuteMsg | NetMsg | RuntimeMsg


class Recipient(enum.Enum):
    """The processes of an ensemble; the value is the name of the process's class."""

    ProcessInputToken = "TTInputTokenProcess"
    ProcessExecute = "TTExecuteProcess"
    ProcessNetwork = "TTNetworkManager"
    ProcessRuntimeManager = "TTRuntimeManagerProcess"


RECIPIENTS: dict[type[enum.Enum], str] = {
    SyncMsg: Recipient.ProcessInputToken.value,
    ExecuteMsg: Recipient.ProcessExecute.value,
    NetMsg: Recipient.ProcessNetwork.value,
    RuntimeMsg: Recipient.ProcessRuntimeManager.value,
}
"""The process that each family of messages is for."""


class Message(NamedTuple):
    """A message between processes.

    Attributes:
        msg_type: a `SyncMsg`, `ExecuteMsg`, `NetMsg` or `RuntimeMsg`.
        payload: as the row of that kind says.
        process_recipient: a `Recipient`, the class of the process it is for, or that class's name.
    """

    msg_type: enum.Enum
    payload: Any
    process_recipient: Any

    @property
    def recipient_name(self) -> str | None:
        """The name of the process's class; None: it says no process."""
        recipient = self.process_recipient
        if isinstance(recipient, Recipient):
            return recipient.value
        return recipient if isinstance(recipient, str) else getattr(recipient, "__name__", None)


class Envelope(NamedTuple):
    """A message for a process of another ensemble."""

    ensemble: str
    message: Message


LITTLE = 1 << 16
"""Bytes of a message that holds a few names and numbers, or the places of shared values."""

TEXTS = 1 << 20
"""Bytes of a message that holds texts for people, or the names of all ensembles."""

OF_GRAPH = 4 << 20
"""Bytes of a message that holds something for each SQ or arc of a graph: 10,000 SQs of one ensemble report in it. Such
a message is taken in within a second, whatever it holds."""

VALUES = MAX_FRAME
"""Bytes of a message that holds values of programs, states of instances, or code."""


class Row(NamedTuple):
    """All there is to say of one kind of message.

    Attributes:
        payload: the type of what it carries.
        doc: its meaning.
        crosses: it goes between devices; others stay within a process, so nobody can send them from outside.
        senders: the roles that may send it from outside: from another device, or as the question of a command.
        own: gives the name in what it carries, which has to be its sender's own; None: it names no sender.
        signed: it carries code: it is taken only with the manager's signature.
        values: it holds values of programs, which have an encoding of their own.
        path: the path on which it travels.
        most: bytes of its frame; a longer one is refused unread.
        long: the type of what it carries where that has more bytes than `OF_GRAPH`; None: the same. A few long values
            are read in no time, many small ones are not.
    """

    payload: Any
    doc: str
    senders: tuple[Role, ...] = ("manager",)
    own: Callable[[Any], str] | None = None
    crosses: bool = True
    signed: bool = False
    values: bool = False
    path: Path = Path.CONTROL
    most: int = LITTLE
    long: Any = None


_MEMBERS: tuple[Role, ...] = ("manager", "ensemble")
_OPERATORS: tuple[Role, ...] = ("manager", "operator")
_VIEWERS: tuple[Role, ...] = ("manager", "operator", "viewer")
_name, _ensemble = attrgetter("name"), attrgetter("ensemble")


def _of_all(outputs: carry.OutputTokens) -> str:
    """The ensemble that all of them name; empty if there is none."""
    names = {output.ensemble for output in outputs.tokens}
    return names.pop() if len(names) == 1 else ""


ROWS: dict[enum.Enum, Row] = {
    # For the ports and firing rules of an ensemble.
    SyncMsg.INSTANTIATE: Row(
        carry.Deployment, "prepare the ports and firing rules of the SQs placed here", crosses=False
    ),
    SyncMsg.START: Row(carry.StartContext, "start a context", values=True, most=VALUES),
    SyncMsg.INPUT_TOKEN: Row(carry.TokenMessage, "a token for SQs of this ensemble", crosses=False),
    SyncMsg.STOP: Row(carry.StopGraph, "end a graph"),
    SyncMsg.REPORT: Row(carry.ReportRequest, "say whether a context is idle, and what passed on its arcs"),
    SyncMsg.PLACE: Row(carry.Placement, "where the SQs of a graph are from now on", most=VALUES),
    SyncMsg.EXPECT: Row(carry.Expect, "SQs will come here", most=OF_GRAPH),
    SyncMsg.HAND_OVER: Row(carry.HandOver, "SQs go from here", most=OF_GRAPH),
    SyncMsg.SET_GRID: Row(carry.SetGrid, "another period and phase for a stream"),
    SyncMsg.WATCH: Row(WatchArc, "send the tokens of an arc to the manager, too, for a while"),
    SyncMsg.SWITCH: Row(Switch, "a graph is to be replaced: its streams end, and it comes to rest", most=OF_GRAPH),
    SyncMsg.TRY: Row(TryStates, "see whether values fit the classes that SQs which will come have", most=VALUES),
    # For the bodies of an ensemble.
    ExecuteMsg.INSTANTIATE: Row(carry.Deployment, "prepare the SQs placed here", signed=True, most=VALUES),
    # For the network manager of an ensemble.
    NetMsg.JOIN: Row(EnsembleInfo, "ask the manager to let this ensemble join", crosses=False),
    NetMsg.ROUTE: Row(carry.Route, "an ensemble and its address"),
    NetMsg.FORGET: Row(EnsembleName, "the ensemble of this name has left"),
    NetMsg.REFUSED: Row(Text, "the manager does not let this ensemble take part, and why", most=TEXTS),
    NetMsg.SEND: Row(Envelope, "send a message to a process of another ensemble", crosses=False),
    NetMsg.PONG: Row(
        carry.Pong,
        "the manager's answer to a heartbeat: its half of a clock exchange",
        path=Path.HEARTBEATS,
        most=TEXTS,
    ),
    NetMsg.ASK: Row(
        carry.Ask,
        "an ensemble that has lost the manager asks for how long it was not heard of",
        _MEMBERS,
        _name,
        path=Path.HEARTBEATS,
    ),
    NetMsg.TELL: Row(carry.Tell, "the answer to ASK", _MEMBERS, _name, path=Path.HEARTBEATS),
    NetMsg.OFFER: Row(
        memory.Offer, "memory in which the sender's values can be read by ensembles of its host", _MEMBERS, _name
    ),
    NetMsg.ACCEPTED: Row(memory.Accepted, "the sender reads in the memory it was offered", _MEMBERS, _name),
    NetMsg.SETTLE: Row(
        memory.Settle, "values that were sent through shared memory, should they not have come", _MEMBERS, _name
    ),
    NetMsg.HOW_FAR: Row(
        carry.HowFar, "a receiver to which SQs will come asks how much was sent to them", _MEMBERS, _name, most=OF_GRAPH
    ),
    NetMsg.SO_FAR: Row(carry.SoFar, "the answer to HOW_FAR", _MEMBERS, _name, most=OF_GRAPH),
    NetMsg.TAKEN: Row(
        carry.Taken, "up to which frame a sender's tokens have been taken", _MEMBERS, _name, path=Path.HEARTBEATS
    ),
    NetMsg.OUTPUTS_TAKEN: Row(carry.OutputsTaken, "up to which output the manager has them for good"),
    NetMsg.REVOKED: Row(
        bytes, "the revocation list, as its file has it: nobody on it is heard any more", most=OF_GRAPH
    ),
    NetMsg.ROW: Row(str, "an output of a graph, for a command that follows them", path=Path.TOKENS, most=VALUES),
    NetMsg.ARC_ROW: Row(ArcToken, "a token of an arc, for a command that watches it", path=Path.TOKENS, most=VALUES),
    NetMsg.SHUT_DOWN: Row(Text, "the system ends, or this ensemble was drained; the reason", most=TEXTS),
    # For the manager.
    RuntimeMsg.JOIN: Row(EnsembleInfo, "an ensemble joins; it asks on a key of its own", crosses=False),
    RuntimeMsg.LEAVE: Row(EnsembleName, "the ensemble of this name leaves", _MEMBERS, str, path=Path.OUTPUTS),
    RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH: Row(
        carry.DeployRequest, "deploy a graph; or the graph alone", _OPERATORS, crosses=False
    ),
    RuntimeMsg.READY: Row(carry.ReadyAnswer, "the answer to a deployment", _MEMBERS, _ensemble, most=TEXTS),
    RuntimeMsg.EXECUTE_GRAPH: Row(carry.StartRequest, "start a graph; or `(graph, inputs)`", _OPERATORS, crosses=False),
    RuntimeMsg.OUTPUT_TOKENS: Row(
        carry.OutputTokens,
        "outputs of graphs that followed closely",
        _MEMBERS,
        _of_all,
        values=True,
        path=Path.OUTPUTS,
        most=VALUES,
    ),
    RuntimeMsg.FIRING_ERROR: Row(
        carry.FiringError, "a firing raised", _MEMBERS, _ensemble, path=Path.OUTPUTS, most=TEXTS
    ),
    RuntimeMsg.WORKER_DIED: Row(
        carry.WorkerDeath, "a worker process has ended by itself", _MEMBERS, _ensemble, path=Path.OUTPUTS, most=OF_GRAPH
    ),
    RuntimeMsg.RECORDED: Row(
        Recorded, "what happened in a context", _MEMBERS, _ensemble, path=Path.RECORDS, most=VALUES
    ),
    RuntimeMsg.ARC_TOKEN: Row(
        ArcToken, "a token of an arc that is watched", _MEMBERS, _ensemble, path=Path.RECORDS, most=VALUES
    ),
    RuntimeMsg.STOP_GRAPH: Row(carry.StopRequest, "end a graph", _OPERATORS, crosses=False),
    RuntimeMsg.PING: Row(
        carry.Ping, "an ensemble's heartbeat: its half of a clock exchange", _MEMBERS, _name, path=Path.HEARTBEATS
    ),
    RuntimeMsg.REPORT: Row(carry.IdleReport, "the answer to SyncMsg.REPORT", _MEMBERS, _ensemble, most=OF_GRAPH),
    RuntimeMsg.BACK: Row(EnsembleInfo, "an ensemble that was cut off is reached again", crosses=False),
    RuntimeMsg.DRAIN: Row(carry.DrainRequest, "move all that lives on an ensemble", _OPERATORS, crosses=False),
    RuntimeMsg.REPLACE: Row(ReplaceRequest, "replace a graph by another version", _OPERATORS, crosses=False),
    RuntimeMsg.SET_GRID: Row(carry.SetRequest, "change a stream's period and phase", _OPERATORS, crosses=False),
    RuntimeMsg.CHECKPOINT: Row(
        carry.Checkpoint, "instances as they are now", _MEMBERS, _ensemble, most=VALUES, long=carry.LongCheckpoint
    ),
    RuntimeMsg.PLACED: Row(
        carry.Placed, "SQs that were to come are expected, or there, or cannot come", _MEMBERS, _ensemble, most=OF_GRAPH
    ),
    RuntimeMsg.HANDED: Row(
        carry.Handed,
        "what instances that were handed over go on with",
        _MEMBERS,
        _ensemble,
        most=VALUES,
        long=carry.LongHanded,
    ),
    RuntimeMsg.SWITCHED: Row(Switched, "the answer to SWITCH", _MEMBERS, _ensemble, most=OF_GRAPH),
    RuntimeMsg.STATUS: Row(carry.StatusRequest, "how everything stands", _VIEWERS, crosses=False),
    RuntimeMsg.ENSEMBLES: Row(carry.StatusRequest, "what the ensembles say of themselves", _OPERATORS, crosses=False),
    RuntimeMsg.OUTPUTS: Row(carry.OutputsRequest, "the latest outputs of a graph", _VIEWERS, crosses=False),
    RuntimeMsg.WATCH_ARC: Row(WatchRequest, "watch an arc of a graph for a while", _OPERATORS, crosses=False),
    RuntimeMsg.PROFILE: Row(carry.ProfileRequest, "what the bodies of a graph cost", _VIEWERS, crosses=False),
    RuntimeMsg.SHUT_DOWN: Row(carry.StatusRequest, "the system is to end", _OPERATORS, crosses=False),
}


def message(kind: enum.Enum, payload: Any) -> Message:
    """A message of this kind, addressed to the process it is for."""
    return Message(kind, payload, RECIPIENTS[kind.__class__])
