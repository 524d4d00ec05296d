"""The same exchange over the simulated network and over Zenoh: each request to a network has one meaning."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from systems import LIMIT, free_port

from ticktalk.engine.agenda import Agenda
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import Message, NetMsg
from ticktalk.network_interface import Question, TTNetworkInterface
from ticktalk.network_keys import HELLO, JOIN, arc_key, control_key
from ticktalk.payloads import Route
from ticktalk.physical.network.control_frames import parse_control
from ticktalk.physical.network.token_frames import parse_parcels, token_frame
from ticktalk.physical.network.zenoh_link import TTNetworkInterfaceZenoh
from ticktalk.simulation.network import SimulatedNetwork
from ticktalk.values.codec import encode_value


class Ends(NamedTuple):
    """Two ends of a network, the manager's and an ensemble's.

    Attributes:
        told: the control messages that came to the ensemble.
        wait: `(true)`: let time pass until that is so, or for long.
    """

    manager: TTNetworkInterface
    edge: TTNetworkInterface
    told: list[Message]
    wait: Callable[[Callable[[], bool]], bool]


def simulated() -> Iterator[Ends]:
    agenda = Agenda(0)
    network = SimulatedNetwork(agenda)
    network.delay = 5_000
    manager, edge = network.enter("runtime-manager"), network.enter("edge")
    told: list[Message] = []
    edge.open(told.append)

    def wait(true: Callable[[], bool]) -> bool:
        while not true() and (tick := agenda.next_tick()) is not None:
            agenda.run_tick(tick)
        return true()

    yield Ends(manager, edge, told, wait)


def zenoh() -> Iterator[Ends]:
    at = f"127.0.0.1:{free_port()}"
    manager, edge = TTNetworkInterfaceZenoh(), TTNetworkInterfaceZenoh()
    told: list[Message] = []
    edge.subscribe(control_key("edge"), lambda frame, attached: told.append(parse_control(frame)))
    manager.open("router", at)
    edge.open("peer", connect=[at])

    def wait(true: Callable[[], bool]) -> bool:
        end = time.monotonic() + LIMIT
        while not true() and time.monotonic() < end:
            time.sleep(0.005)
        return true()

    yield Ends(manager, edge, told, wait)
    edge.close()
    manager.close()


@pytest.fixture(params=[simulated, zenoh], ids=lambda network: network.__name__)
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    yield from request.param()


def test_an_ensemble_joins_is_told_a_message_and_gets_a_token(ends: Ends) -> None:
    manager, edge, told, wait = ends

    def hello(question: Question) -> None:
        info = msgspec.msgpack.decode(question.payload, type=EnsembleInfo)
        if info.name == "edge":
            question.answer(b"welcome")
        else:
            question.refuse(f"the name {info.name!r} is in use")

    manager.answer(HELLO, hello)
    assert wait(lambda: manager.identity in edge.reachable() and edge.identity in manager.reachable())
    asks = msgspec.msgpack.encode(EnsembleInfo("edge"))
    # An ensemble asks again until it has an answer: at first it may not yet know that the manager gives any.
    assert wait(lambda: edge.ask(HELLO, asks, 1.0) == (True, b"welcome"))
    refused = edge.ask(HELLO, msgspec.msgpack.encode(EnsembleInfo("other")), LIMIT)
    assert refused == (False, b"the name 'other' is in use")
    assert edge.ask(JOIN, b"", 0.2) is None

    came: list[Any] = []
    arc = arc_key("a graph", "source-1/0")
    edge.subscribe(arc, lambda frame, attached: came.append((parse_parcels(frame), attached)))
    assert wait(lambda: manager.subscribed(arc))
    routes = [Message(NetMsg.ROUTE, Route("edge", f"127.0.0.1:{port}"), "TTNetworkManager") for port in range(1, 20)]
    for route in routes:
        manager.send("edge", route)
    assert wait(lambda: len(told) == len(routes)) and told == routes

    parcels = [(1, 0, b"", number, 10, 20, encode_value(number)) for number in range(1, 20)]
    for parcel in parcels:
        manager.publish(arc, token_frame([parcel]), to=["edge"])
    assert wait(lambda: len(came) == len(parcels))
    assert came == [([parcel], None) for parcel in parcels]

    # Parts that may be joined, and a part that gives payloads with their attachments.
    came.clear()
    manager.publish(arc, parcels[0], token_frame)
    manager.publish(arc, lambda: iter([(token_frame(parcels[:2]), None), (token_frame(parcels[2:]), b"attached")]))
    assert wait(lambda: len(came) == 3)
    assert came == [(parcels[:1], None), (parcels[:2], None), (parcels[2:], b"attached")]

    edge.unsubscribe(arc)
    assert wait(lambda: not manager.subscribed(arc))
    manager.publish(arc, token_frame(parcels))
    edge.subscribe(arc_key("a graph", "end"), lambda frame, attached: came.append("end"))
    assert wait(lambda: manager.subscribed(arc_key("a graph", "end")))
    manager.publish(arc_key("a graph", "end"), b"")
    assert wait(lambda: came[-1] == "end") and len(came) == 4
