"""Connections that say nothing, or nothing that makes sense, lock no join and no command out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from systems import LIMIT, ONE, repeated, until

from ticktalk.cli.remote import Remote
from ticktalk.ensemble import TTEnsemble
from ticktalk.language.compiler import compile_source
from ticktalk.physical.trust.authority import init_authority, issue
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

AT_ONCE = 150
"""Connections at the beginning: more than Zenoh lets wait by itself."""

PER_SECOND = 20


class Idle:
    """Opens connections and says nothing on them, or the begin of a TLS handshake."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self.open: list[socket.socket] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        for _ in range(AT_ONCE):
            self._one()
        self._thread.start()

    def _one(self) -> None:
        self.open.append(socket.create_connection(self._to, 5))
        if len(self.open) % 2:
            self.open[-1].sendall(b"\x16\x03\x01\x02\x00")

    def _run(self) -> None:
        while not self._stop.wait(1 / PER_SECOND):
            self._one()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(5)
        for each in self.open:
            each.close()


@pytest.fixture(params=["token", "keys"])
def bundles(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str | None]]:
    """With the token of the user on loopback, and with keys on an address."""
    if request.param == "token":
        yield dict.fromkeys(("runtime-manager", "edge", "anna"))
        return
    keys = tmp_path / "keys"
    init_authority(keys, ["127.0.0.2"])
    issue(keys, "edge", ["127.0.0.2"])
    issue(keys, "anna", role="operator")
    yield {name: str(keys / f"{name}.json") for name in ("runtime-manager", "edge", "anna")}


def test_an_ensemble_joins_beside_idle_connections(bundles: dict[str, str | None]) -> None:
    # Without a wait of 10 s, which nothing but an idle connection would cause each time.
    repeated(lambda: joined_and_served(bundles), lambda took: took < 9.5, "it joins at once")


def joined_and_served(bundles: dict[str, str | None]) -> float:
    """Seconds until an ensemble has joined, and a command is answered, beside idle connections; then a graph runs."""
    ip = "127.0.0.2" if bundles["edge"] else "127.0.0.1"
    with TTRuntimeManagerPhysical(None, ip, 0, 0, workers=0, credentials=bundles["runtime-manager"]) as manager:
        idle = Idle(manager.address)
        edge = TTEnsemble(None, "edge")
        options = {"workers": 0, "ip": ip, "credentials": bundles["edge"]}
        thread = threading.Thread(target=edge.run_phy, args=(manager.address,), kwargs=options, daemon=True)
        try:
            began = time.monotonic()
            thread.start()
            assert manager.wait_for_ensembles(["edge"], LIMIT) == []
            with Remote(manager.address, bundles["anna"]) as anna:
                assert anna.ask(do="status")["graphs"] == []
            took = time.monotonic() - began
            graph = compile_source(ONE, "served.py", "served")
            manager.instantiate_and_map_graph(graph, mapping={sq.name: "edge" for sq in graph.sqs})
            manager.execute_graph(graph, {"trigger": 1})
            assert manager.wait(graph, LIMIT)
            until(lambda: len(idle.open) > AT_ONCE + 10, "idle connections go on")
        finally:
            edge.stop()
            thread.join(LIMIT)
            idle.end()
    return took
