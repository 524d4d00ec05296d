"""The link to other ensembles: a Zenoh session, an outbox, subscriptions that survive its reopening.

A host that others cannot reach opens as a client: the manager, a router, then relays for it. Publishing can block for
seconds when a receiver stands still, so `publish` only puts into the outbox; `flush`, which may block, sends.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zenoh

from ticktalk.engine.values import Data
from ticktalk.language.errors import TTRuntimeError
from ticktalk.physical.wire import LONG

logger = logging.getLogger("ticktalk.link")

OUTBOX = 65_536
"""Parts that may wait to be sent; beyond that the stalest goes, counted."""

JOINED = 64
"""Parts for the same key that are sent as one frame when they wait anyway."""

CLOSE_LIMIT = 2.0
"""Seconds that closing a session may take."""

POOLS = 16 << 20, 64 << 20
"""Bytes of memory that is shared with other processes of this host. Little, because a processor's caches hold little:
copying by way of what they hold takes half the time. The second one is for frames that are too long for the first."""

IN_POOL = 3
"""Frames that have to fit into a pool: one is written, one is read, and one is on its way."""

PIECE = 1 << 18
"""Bytes that are copied at once where it takes two passes: they stay in a cache between them."""

ROOM = 0.002
"""Seconds for which room in a pool is waited for."""

Receive = Callable[[bytes, bytes | None], None]
"""Takes a payload, and what was attached to it: called in Zenoh's thread; must not block."""

Join = Callable[[list[Any]], bytes]
"""Makes one frame of parts."""


class LinkError(TTRuntimeError):
    """A session that cannot be opened; the message says why and what to do."""


class NobodyAnswersError(LinkError):
    """Nobody answers where the session has to connect to; trying again may help."""


class Link:
    """A Zenoh session and what is declared on it.

    Args:
        mode: "router" (the manager), "peer", or "client" (relayed by the manager).
        listen: endpoints such as `tcp/127.0.0.1:5555`.
        connect: endpoints of others, the manager's first.
        settings: further configuration by key (TLS).
        overflow: told when a frame was dropped because too many wait.
        timeout_ms: how long opening may take until the first endpoint answers; None: it goes on trying.

    Attributes:
        waiting: told when something waits to be sent and nobody sees to it: somebody has to call `flush`.

    Raises:
        LinkError: the port is in use, or nobody answers.
    """

    def __init__(
        self,
        mode: str,
        listen: list[str],
        connect: list[str],
        settings: dict[str, Any] | None = None,
        overflow: Callable[[], None] = lambda: None,
        timeout_ms: int | None = 3000,
    ) -> None:
        self.mode = mode
        self._listen = listen
        self._connect = connect
        self._settings = settings or {}
        self._timeout_ms = timeout_ms
        self._overflow = overflow
        self.waiting: Callable[[], None] = self.flush
        self._subscriptions: dict[str, tuple[Receive, Any]] = {}
        self._queryables: dict[str, tuple[Callable[[zenoh.Query], None], Any]] = {}
        self._publishers: dict[str, Any] = {}
        self._pools = [_Pool(size) for size in POOLS]
        self._outbox: deque[tuple[str, Any, Join | bytes | None]] = deque()
        self._sending = threading.Lock()  # what is in the outbox is sent in order: by one thread at a time
        self._closing = False
        self._session = self._open()

    def _open(self) -> zenoh.Session:
        config = zenoh.Config()
        settings = {
            "mode": self.mode,
            "listen/endpoints": self._listen,
            "connect/endpoints": self._connect,
            "scouting/multicast/enabled": False,
            "scouting/delay": 0,
            "connect/retry": {"period_init_ms": 200, "period_max_ms": 1000, "period_increase_factor": 2},
            **self._settings,
        }
        if self._connect and self._timeout_ms is not None:
            settings["connect/timeout_ms"] = self._timeout_ms
        for key, value in settings.items():
            config.insert_json5(key, json.dumps(value))
        try:
            return zenoh.open(config)
        except zenoh.ZError as error:
            raise self._why(str(error)) from None

    def _why(self, text: str) -> LinkError:
        listen = ", ".join(self._listen)
        if "os error 98" in text or "Address already in use" in text:
            return LinkError(f"{listen}: the port is in use: choose another with --rx-port, or 0 for any")
        if "os error 99" in text:
            return LinkError(f"{listen}: this host has no such address: choose another with --ip")
        if "Unable to connect" in text or "Timeout" in text or "refused" in text:
            return NobodyAnswersError(f"nobody answers at {', '.join(self._connect)}")
        return LinkError(f"the network session cannot be opened: {text}")

    def subscribe(self, key: str, receive: Receive) -> None:
        """Call `receive(payload, attached)` for what is published on `key`."""
        self._subscriptions[key] = (receive, self._declare_subscriber(key, receive))

    def _declare_subscriber(self, key: str, receive: Receive) -> Any:
        def sample(sample: zenoh.Sample) -> None:
            attached = sample.attachment
            receive(_taken(sample.payload), None if attached is None else attached.to_bytes())

        # A direct callback: no thread per subscriber.
        return self._session.declare_subscriber(key, zenoh.handlers.Callback(sample, indirect=False))

    def unsubscribe(self, key: str) -> None:
        """Take no more from `key`."""
        found = self._subscriptions.pop(key, None)
        if found is not None:
            found[1].undeclare()

    def answer_queries(self, key: str, query: Callable[[zenoh.Query], None]) -> None:
        """Call `query(query)` for queries on `key`, in Zenoh's thread; whoever replies drops it afterwards."""
        self._queryables[key] = (query, self._declare_queryable(key, query))

    def _declare_queryable(self, key: str, query: Callable[[zenoh.Query], None]) -> Any:
        return self._session.declare_queryable(key, zenoh.handlers.Callback(query, indirect=False), complete=True)

    def ask(self, key: str, payload: bytes, timeout: float) -> tuple[bool, bytes] | None:
        """Query `key`: `(True, reply)`, `(False, reason)`, or None when nobody answered in time. Blocks."""
        for reply in self._session.get(key, payload=payload, timeout=timeout, target=zenoh.QueryTarget.BEST_MATCHING):
            if reply.ok is not None:
                return True, reply.ok.payload.to_bytes()
            reason = reply.err.payload.to_bytes() if reply.err is not None else b""
            return None if reason == b"Timeout" else (False, reason)
        return None

    def publish(self, key: str, part: Any, join: Join | bytes | None = None) -> None:
        """Have a frame published on `key`, in order; never blocks.

        Args:
            key: where.
            part: the frame; or, with `join`, what may become one frame with others that wait beside it.
            join: makes the frame; or bytes that are attached to it.
        """
        outbox = self._outbox
        if len(outbox) >= OUTBOX:
            try:
                outbox.popleft()
                self._overflow()
            except IndexError:
                pass  # who sends was faster
        outbox.append((key, part, join))
        if len(outbox) == 1:
            self.waiting()

    def flush(self) -> None:
        """Send what waits; may block. Returns at once if another thread is at it."""
        outbox = self._outbox
        while outbox and self._sending.acquire(False):
            try:
                self._send_all(outbox)
            finally:
                self._sending.release()

    def _send_all(self, outbox: deque[tuple[str, Any, Join | bytes | None]]) -> None:
        while outbox:
            try:
                key, part, join = outbox.popleft()
                attached = join if isinstance(join, bytes) else None
                if callable(join):
                    parts = [part]
                    while outbox and outbox[0][2] is join and outbox[0][0] == key and len(parts) < JOINED:
                        parts.append(outbox.popleft()[1])
                    part = join(parts)
            except IndexError:
                return  # the last one became too old meanwhile
            try:
                publisher = self._publishers.get(key)
                if publisher is None:
                    publisher = self._session.declare_publisher(
                        key,
                        congestion_control=zenoh.CongestionControl.BLOCK,
                        express=True,
                        reliability=zenoh.Reliability.RELIABLE,
                    )
                    self._publishers[key] = publisher
                publisher.put(part if len(part) < LONG else self._shared(part), attachment=attached)
            except zenoh.ZError as error:
                if not self._closing:
                    logger.warning("%s: not sent: %s", key, error)

    def _shared(self, frame: Data) -> Any:
        """A long frame as something to publish: in memory that is shared, if it is to be had."""
        shared = next((pool.filled(frame) for pool in self._pools if len(frame) <= pool.longest), None)
        return shared or (bytes(frame) if isinstance(frame, memoryview) else frame)

    def peers(self) -> set[str]:
        """The Zenoh ids to which there is a direct transport."""
        return {str(transport.zid) for transport in self._session.info.transports()}

    @property
    def zid(self) -> str:
        """This session's Zenoh id."""
        return str(self._session.info.zid())

    def reopen(self, mode: str, connect: list[str]) -> None:
        """Open anew in another mode, with everything that was declared. Blocks."""
        old = self._session
        self.mode = mode
        self._connect = connect
        if mode == "client":
            self._listen = []
        _close(old)
        self._publishers.clear()
        self._session = self._open()
        for key, (receive, _) in list(self._subscriptions.items()):
            self._subscriptions[key] = (receive, self._declare_subscriber(key, receive))
        for key, (query, _) in list(self._queryables.items()):
            self._queryables[key] = (query, self._declare_queryable(key, query))

    def close(self, grace: float = 1.0) -> None:
        """Send what waits, for at most `grace` seconds, and end the session. Blocks."""
        self._closing = True
        for key in list(self._subscriptions):
            # Before the session ends: no call from Zenoh may find a Python that is being taken down.
            try:
                self.unsubscribe(key)
            except zenoh.ZError as error:
                logger.debug("closing: %s", error)
        sender = threading.Thread(target=self._send_rest, daemon=True)
        sender.start()
        sender.join(grace)
        self._publishers.clear()
        _close(self._session)

    def _send_rest(self) -> None:
        with self._sending:
            self._send_all(self._outbox)


class _Pool:
    """Memory that Zenoh hands to other processes of this host as it is: what is put there is copied once less.

    Zenoh calls this interface unstable, so without it, or without room, a frame is given to Zenoh as bytes.

    Args:
        size: bytes of it.

    Attributes:
        longest: bytes of a frame at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.longest = size // IN_POOL
        self._provider: Any = None  # made for the first long frame
        self._policy: Any = None
        self._missing = False

    def filled(self, frame: Data) -> Any:
        """`frame` as something to publish, or None; by one thread at a time. May block for a moment."""
        if self._missing:
            return None
        try:
            if self._provider is None:
                self._provider = zenoh.shm.ShmProvider.default_backend(self._size)
                self._policy = zenoh.shm.Defragment(zenoh.shm.GarbageCollect())
            buffer = self._room(len(frame))
            if buffer is None:
                return None
            if isinstance(frame, memoryview):  # Zenoh takes no views
                for begin in range(0, len(frame), PIECE):
                    piece = bytes(frame[begin : begin + PIECE])
                    buffer[begin : begin + len(piece)] = piece
            else:
                buffer[0 : len(frame)] = frame
            return buffer
        except (zenoh.ZError, AttributeError, TypeError, ImportError):
            self._missing = True
            return None

    def _room(self, length: int) -> Any:
        """Memory for a frame, waited for as long as whoever reads may be about to be done; None: there is none."""
        until = time.monotonic() + ROOM
        while True:
            try:
                return self._provider.alloc(length, self._policy)
            except zenoh.ZError:
                if time.monotonic() > until:
                    return None
                time.sleep(ROOM / 20)


def _taken(payload: zenoh.ZBytes) -> bytes:
    """A payload as bytes of our own; what another process of this host keeps in shared memory, with fewer passes."""
    shared = payload.as_shm() if len(payload) >= LONG and hasattr(payload, "as_shm") else None
    return payload.to_bytes() if shared is None else bytes(shared)


def _close(session: zenoh.Session) -> None:
    """Close a session in a bounded time: Zenoh can take 5 s when a peer stands still."""

    def close() -> None:
        try:
            session.close()  # type: ignore[no-untyped-call]
        except zenoh.ZError as error:
            logger.debug("closing: %s", error)

    closer = threading.Thread(target=close, daemon=True)
    closer.start()
    closer.join(CLOSE_LIMIT)
