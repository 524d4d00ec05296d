"""A running runtime manager: its node, its link, its threads, its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, wait
from typing import Any, NoReturn

from ticktalk.defaults import MAX_VALUE
from ticktalk.engine.components import Components
from ticktalk.errors import TTRuntimeError
from ticktalk.manager.reports import SETTLE
from ticktalk.mapping.ensembles import check_host
from ticktalk.physical.commands import Commands
from ticktalk.physical.host_facts import describe_host, free_port
from ticktalk.physical.limits import ENSEMBLE, check_limits, check_memory
from ticktalk.physical.manager_node import Callbacks, ManagerNode, in_loop
from ticktalk.physical.network.joining import say_insecure
from ticktalk.physical.network.link import PortInUseError
from ticktalk.physical.node import Node
from ticktalk.physical.system import boot_id
from ticktalk.physical.trust.trust import Trust, is_loopback
from ticktalk.physical.workers.memory import check_workers
from ticktalk.processes import TTRuntimeManagerProcess
from ticktalk.replacement import title_of

PORT_TRIES = 10
"""Ports that a manager tries which were free when it looked."""


LOOK = 0.2
"""Seconds after which one that waits for an answer looks whether the manager has ended."""

WRITE_LIMIT = 10.0
"""Seconds for which the end waits for a disk: what ensembles are told last is written before."""


class ManagerHandle:
    """A running runtime manager.

    Args:
        process: the documented process.
        manager: its driver.
        components, ip, rx_port, workers, credentials, insecure, near, max_value, token, worker_memory: see
            `TTRuntimeManagerPhysical`.

    Raises:
        ValueError: there cannot be so many workers, or the address is none.
        TTRuntimeError: the port is in use, the host has no such address, credentials are missing, or workers cannot
            have this limit of memory.
    """

    def __init__(
        self,
        process: TTRuntimeManagerProcess,
        manager: ManagerNode,
        components: Components,
        ip: str,
        rx_port: int,
        workers: int,
        credentials: str | None,
        insecure: bool,
        near: str,
        max_value: int = MAX_VALUE,
        token: bytes | None = None,
        worker_memory: int = 0,
    ) -> None:
        check_host(ip)
        check_limits(ENSEMBLE)
        check_memory()
        check_workers(workers, worker_memory)
        secure = credentials is not None
        if not secure and not is_loopback(ip):
            if not insecure:
                raise TTRuntimeError(
                    f"a manager on {ip} can be reached by others, so it wants credentials: make them with `ticktalk"
                    " keys init` and give --credentials FILE (or --insecure, which says what it means)"
                )
            say_insecure()
        name = process.ensemble_name or ""
        trust = Trust(name, "manager", credentials, ip, token)
        self.callbacks = Callbacks()
        self.node = Node(
            name, components, name, workers > 0, near, trust.guard, max_value=max_value, worker_memory=worker_memory
        )
        self.node.workers.loading.home = workers == 1
        if manager.known is not None and not rx_port:
            rx_port = int(manager.known.manager.address.rpartition(":")[2])  # its ensembles look for it there
        try:
            self._listen(ip, rx_port, trust)
        except TTRuntimeError:
            self.node.loop.close()
            raise
        known = manager.known
        if known is not None and known.manager.boot_id == boot_id() != "":
            self.node.go_on_from(known.root_offset)
        identity, now = self.node.link.identity, self.node.clock.now()
        own = describe_host(name, components, self.address, identity, True, now, trust.guard.badge, trust.expires)
        process.requests.liveness.introduce(own, self.node.clock.offset)
        manager.host(self.node, process, trust)
        Commands(manager)
        manager.begin()
        self.manager = manager
        self._process = process
        self.closed = False
        self._answers_no_more = threading.Event()
        self.node.run_in_thread()

    def _listen(self, ip: str, rx_port: int, trust: Trust, tries: int = PORT_TRIES) -> None:
        free = free_port(ip)  # even with another one: it says whether this host has the address
        port = rx_port or free
        self.address = f"{'[' + ip + ']' if ':' in ip else ip}:{port}"
        try:
            self.node.link.open("router", self.address, door=trust.door)
        except PortInUseError:
            if rx_port or tries == 1:
                raise
            self._listen(ip, rx_port, trust, tries - 1)  # another process took the one that was free

    def result_of(self, reply: Future[Any]) -> Any:
        """Wait for the answer to a request.

        Raises:
            TTRuntimeError: the manager has ended without one, or answers with an error.
        """
        while not self._answers_no_more.is_set() and not wait([reply], LOOK).done:
            pass
        if not reply.done():
            self._refuse()
        return reply.result()

    def _refuse(self) -> NoReturn:
        raise TTRuntimeError("this runtime manager has ended")

    def wait(self, graph: str | None, timeout: float | None) -> bool:
        """Wait until the contexts of a graph (None: of all) are done; whether they are after `timeout` seconds.

        Raises:
            TTRuntimeError: there is no such graph, nor was one of that name stopped lately.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self.closed and (events := in_loop(self.node, lambda: self._not_ended(graph))):
            for ended in events:  # in the place of one that is replaced there is another afterwards
                if not ended.wait(None if until is None else max(0.0, until - time.monotonic())):
                    return False
        return True

    def _not_ended(self, graph: str | None) -> list[threading.Event]:
        if graph is not None and graph not in map(title_of, self._process.state.ended):
            self._process.requests.deploy.state_of(graph)
        return self.manager.not_ended(graph)

    def wait_for_ensembles(self, names: Iterable[str] | str, timeout: float | None) -> list[str]:
        """Wait until these have joined; the names of those that have not after `timeout` seconds."""
        awaited = [names] if isinstance(names, str) else list(names)  # they are gone through again and again
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            missing = [name for name in awaited if name not in self._process.state.ensembles]
            if not missing or self.closed or (until is not None and time.monotonic() >= until):
                return missing
            time.sleep(0.01)

    def close(self, ensembles: bool) -> None:
        """End everything; with `ensembles`, the ensembles end, too."""
        if self.closed:
            return
        self.closed = True
        ended = threading.Event()
        in_loop(self.node, lambda: self._process.requests.stop_all(lambda losses: ended.set()))
        ended.wait(2 * SETTLE / 1e6)

        told = threading.Event()

        def end() -> None:
            self._process.requests.end(ensembles)
            self.node._drain()
            # These messages leave when they are written, and this call is made just before.
            self.manager.when_written(lambda: self.node.loop.post(told.set))

        in_loop(self.node, end)
        told.wait(WRITE_LIMIT)
        self.node.close()
        self._answers_no_more.set()
        self._process.wake = self._refuse
        self.callbacks.close()
        self._process.outputs.close()
        if self.manager.store is not None:
            self.manager.store.close(done=True)
