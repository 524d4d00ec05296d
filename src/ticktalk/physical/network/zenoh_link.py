"""The network between devices by Eclipse Zenoh: the only file that knows it.

A host that others cannot reach opens as a client: the manager, a router, then relays for it.
"""

from __future__ import annotations

import base64
import ctypes
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import zenoh

from ticktalk.network_interface import Handle, Receive, Reply, Wanted, any_reply
from ticktalk.network_keys import Path
from ticktalk.physical.network.link import (
    Link,
    LinkError,
    NobodyAnswersError,
    NoSuchAddressError,
    PortInUseError,
    Withdraw,
)
from ticktalk.physical.slices import short_slices
from ticktalk.physical.trust.connection_keys import Door, Tls

logger = logging.getLogger("ticktalk.link")

CLOSE_LIMIT = 2.0
"""Seconds that closing a session may take."""

DROP, BLOCK = zenoh.CongestionControl.DROP, zenoh.CongestionControl.BLOCK

WAYS = {
    Path.HEARTBEATS: (zenoh.Priority.REAL_TIME, DROP),
    Path.CONTROL: (zenoh.Priority.DATA, BLOCK),
    Path.TOKENS: (zenoh.Priority.DATA_LOW, DROP),
    Path.OUTPUTS: (zenoh.Priority.BACKGROUND, BLOCK),
    Path.RECORDS: (zenoh.Priority.BACKGROUND, BLOCK),
}
"""Zenoh has a queue for each receiver and each priority. One that is full does not hold up the others."""

SENDING = {
    # A receiver that stands still is known by its silence (`hosted/lease.py`). Its connection is kept for so long:
    # waiting payloads are delivered when it goes on.
    "lease": 60_000,
    "keep_alive": 6,
    "queue/congestion_control/block/wait_before_close": 60_000_000,
    # A receiver that takes nothing for so long loses tokens until it does. All others wait for it so long, once.
    "queue/congestion_control/drop/wait_before_drop": 100_000,
    # A long value on a slow link takes its time.
    "queue/congestion_control/drop/max_wait_before_drop_fragments": 10_000_000,
}
"""Zenoh's settings for sending: milliseconds, beats within them, and microseconds."""

LISTENING = {"accept_timeout": 2_000, "accept_pending": 1_000}
"""Milliseconds in which a connection has to identify itself, and the number of such connections. So joins find room
beside silent connections."""

GOSSIP = {"router": ["router", "peer"], "peer": ["router"]}
"""Peers tell the manager of the sessions that they see. So those that join at one time find each other through it.
If each told all others, that would be most of the work of fifty joins."""

PUBLISHERS = 10_000
"""Keys of one path that stay declared to Zenoh; the oldest is declared again when it is used."""


THREADS = "(acc: (handover: rx), net: (handover: rx), rx: (worker_threads: 3))"
"""Zenoh's threads for connections: those that receive. By default a connection belongs to threads of another kind. They
wake for each message, only to wake one of these: that is a third of what it costs to receive one."""

os.environ.setdefault("ZENOH_RUNTIME", THREADS)  # read when the first session opens; a user may know better

_of_thread = threading.local()

_users: list[int] = []
"""The process that has opened a session."""


def keep_thread() -> None:
    """Let this thread of Zenoh's stay known to Python.

    Otherwise each call from Zenoh makes Python's state of the thread anew, maps memory for its stack, and gives both
    back while it holds the interpreter's lock. That is a quarter of the time that this thread spends on a token.
    """
    if not hasattr(_of_thread, "known"):
        _of_thread.known = True
        ctypes.pythonapi.PyGILState_Ensure()  # never released: the state ends with the process


class TTNetworkInterfaceZenoh(Link):
    """A Zenoh session and its declarations.

    Args:
        settings: further configuration of Zenoh by key.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._settings = settings or {}
        self._session: Any = None
        self._publishers: dict[Path, dict[str, Any]] = {path: {} for path in Path}
        self._watched: dict[str, Any] = {}  # publishers that only see whether there are subscribers

    def _start(self, mode: str, listen: str, connect: Sequence[str], door: Door, bind: str, timeout: float) -> None:
        if not _users:
            _users.append(os.getpid())
        elif _users[0] != os.getpid():  # opening a session would wait for ever
            raise LinkError(
                "this process is a fork of one that was on the network, and the threads of Zenoh stayed there: start it"
                " another way (multiprocessing: `spawn` or `forkserver`), or fork before the first manager or ensemble"
            )
        over = "tls" if isinstance(door, Tls) else "tcp"
        there = [f"{over}/{address}" for address in connect]
        if bind:
            there[0] += f"#bind={bind}"
        here = [f"{over}/{listen}"] if listen else []
        config = zenoh.Config()
        settings = {
            "mode": mode,
            "listen/endpoints": here,
            "connect/endpoints": there,
            "scouting/multicast/enabled": False,
            "scouting/delay": 0,
            "scouting/gossip/target": GOSSIP,
            "transport/shared_memory/enabled": False,  # what it opens of others stays open; long values have `memory/`
            "connect/retry": {"period_init_ms": 200, "period_max_ms": 1000, "period_increase_factor": 2},
            **{f"transport/link/tx/{key}": value for key, value in SENDING.items()},
            **{f"transport/unicast/{key}": value for key, value in LISTENING.items()},
            **(tls_settings(door) if isinstance(door, Tls) else {}),
            **self._settings,
        }
        if connect:
            settings["connect/timeout_ms"] = int(timeout * 1000)
        for key, value in settings.items():
            config.insert_json5(key, json.dumps(value))
        try:
            with short_slices():  # Zenoh's threads receive tokens, and begin with the first session
                self._session = zenoh.open(config)
        except zenoh.ZError as error:
            raise _why(str(error), ", ".join(here), ", ".join(there)) from None

    def _end(self) -> None:
        # Zenoh can take 5 s when a peer stands still.
        session = self._session

        def close() -> None:
            try:
                session.close()
            except zenoh.ZError as error:
                logger.debug("closing: %s", error)

        for publishers in (*self._publishers.values(), self._watched):
            publishers.clear()
        closer = threading.Thread(target=close, daemon=True)
        closer.start()
        closer.join(CLOSE_LIMIT)

    def _subscribe(self, key: str, receive: Receive) -> Withdraw:
        def sample(sample: zenoh.Sample) -> None:
            keep_thread()
            attached = sample.attachment
            receive(sample.payload.to_bytes(), None if attached is None else attached.to_bytes())

        # A direct callback: no thread per subscriber.
        subscriber = self._session.declare_subscriber(key, zenoh.handlers.Callback(sample, indirect=False))

        def withdraw() -> None:
            try:
                subscriber.undeclare()
            except zenoh.ZError as error:
                raise LinkError(str(error)) from None

        return withdraw

    def _answer(self, key: str, handle: Handle) -> None:
        def query(query: zenoh.Query) -> None:
            keep_thread()
            handle(_Query(key, query))

        self._session.declare_queryable(key, zenoh.handlers.Callback(query, indirect=False), complete=True)

    def _put(self, path: Path, key: str, payload: Any, attached: bytes | None) -> None:
        try:
            known = self._publishers[path]
            publisher = known.get(key)
            if publisher is None:
                if len(known) >= PUBLISHERS:
                    known.pop(list(known)[0], None)  # noqa: RUF015  other threads add to it; it ends when none uses it
                priority, congestion = WAYS[path]
                publisher = known[key] = self._session.declare_publisher(
                    key,
                    congestion_control=congestion,
                    priority=priority,
                    express=True,
                    allowed_destination=zenoh.Locality.REMOTE,
                    reliability=zenoh.Reliability.RELIABLE,
                )
            # Zenoh takes no views.
            publisher.put(bytes(payload) if payload.__class__ is memoryview else payload, attachment=attached)
        except zenoh.ZError as error:
            raise LinkError(str(error)) from None

    def subscribed(self, key: str) -> bool:
        """True if there is a subscriber to `key`, as far as is known here at present; may block."""
        if not self.is_open:
            return False
        try:
            publisher = self._watched.get(key)
            if publisher is None:
                publisher = self._watched[key] = self._session.declare_publisher(key)
            status: Any = publisher.matching_status
        except zenoh.ZError:
            return False  # the session has just ended
        return bool(status.matching)

    def ask(self, key: str, payload: bytes, timeout: float, wanted: Wanted = any_reply) -> Reply | None:
        first: Reply | None = None
        replies = self._session.get(
            key,
            payload=payload,
            timeout=timeout,
            target=zenoh.QueryTarget.ALL,  # the nearest may be one that only says that it answers
            consolidation=zenoh.ConsolidationMode.NONE,
        )
        for reply in replies:
            found: Reply
            if reply.ok is not None:
                found = True, reply.ok.payload.to_bytes()
            else:
                found = False, reply.err.payload.to_bytes() if reply.err is not None else b""
            if found != (False, b"Timeout"):
                if wanted(found):
                    return found
                first = first or found
        return first

    def reachable(self) -> set[str]:
        """The Zenoh ids to which there is a direct transport."""
        return {str(transport.zid) for transport in self._session.info.transports()} if self.is_open else set()

    @property
    def identity(self) -> str:
        """This session's Zenoh id."""
        return str(self._session.info.zid())


class _Query:
    """A question (`Question`): the requester waits until it is dropped."""

    def __init__(self, key: str, query: zenoh.Query) -> None:
        self._key = key
        self._query: zenoh.Query | None = query  # None: it has been answered
        self.payload = query.payload.to_bytes() if query.payload is not None else b""

    def answer(self, answer: bytes) -> None:
        if self._query is not None:
            self._query.reply(self._key, answer)
            self._end()

    def refuse(self, reason: str) -> None:
        if self._query is not None:
            self._query.reply_err(reason.encode("utf-8", "replace"))
            self._end()

    def _end(self) -> None:
        query, self._query = self._query, None
        query.drop()  # type: ignore[union-attr]


def tls_settings(tls: Tls) -> dict[str, Any]:
    """Configuration of Zenoh by key: TLS only, and both sides show a certificate of the same authority."""
    certificate, private_key = _base64(tls.certificate), _base64(tls.private_key)
    settings: dict[str, Any] = {
        "transport/link/protocols": ["tls"],
        "transport/link/tls/root_ca_certificate_base64": _base64(tls.ca_certificate),
        "transport/link/tls/enable_mtls": True,
        "transport/link/tls/verify_name_on_connect": True,
        "transport/link/tls/close_link_on_expiration": True,
    }
    for side in ("listen", "connect"):
        settings[f"transport/link/tls/{side}_private_key_base64"] = private_key
        settings[f"transport/link/tls/{side}_certificate_base64"] = certificate
    return settings


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _why(text: str, listen: str, connect: str) -> LinkError:
    """Zenoh's reason why a session does not open, in words that help."""
    if "os error 98" in text or "Address already in use" in text:
        return PortInUseError(f"{listen}: the port is in use: choose another with --rx-port, or 0 for any")
    if "os error 99" in text:
        return NoSuchAddressError(listen)
    if "Unable to connect" in text or "Timeout" in text or "refused" in text:
        return NobodyAnswersError(f"nobody answers at {connect}")
    return LinkError(f"the network session cannot be opened: {text}")
