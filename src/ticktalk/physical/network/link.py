"""The link to other ensembles: a Zenoh session, an outbox, subscriptions that survive its reopening.

A host that others cannot reach opens as a client: the manager, a router, then relays for it. Publishing can block for
seconds when a receiver stands still, so `publish` only puts into the outbox; `flush`, which may block, sends.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import zenoh

from ticktalk.errors import TTRuntimeError
from ticktalk.network_interface import Answer, Handle, Receive

logger = logging.getLogger("ticktalk.link")

OUTBOX = 65_536
"""Parts that may wait to be sent; beyond that the stalest goes, counted."""

JOINED = 64
"""Parts for the same key that are sent as one frame when they wait anyway."""

CLOSE_LIMIT = 2.0
"""Seconds that closing a session may take."""

Join = Callable[[list[Any]], bytes]
"""Makes one frame of parts."""


class LinkError(TTRuntimeError):
    """A session that cannot be opened; the message says why and what to do."""


class NobodyAnswersError(LinkError):
    """Nobody answers where the session has to connect to; trying again may help."""


class PortInUseError(LinkError):
    """Somebody else listens where the session was to listen."""


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
        self._queryables: dict[str, tuple[Handle, Any]] = {}
        self._publishers: dict[str, Any] = {}
        self._outbox: deque[tuple[str, Any, Join | None]] = deque()
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
            return PortInUseError(f"{listen}: the port is in use: choose another with --rx-port, or 0 for any")
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
            receive(sample.payload.to_bytes(), None if attached is None else attached.to_bytes())

        # A direct callback: no thread per subscriber.
        return self._session.declare_subscriber(key, zenoh.handlers.Callback(sample, indirect=False))

    def unsubscribe(self, key: str) -> None:
        """Take no more from `key`."""
        found = self._subscriptions.pop(key, None)
        if found is not None:
            found[1].undeclare()

    def subscribed(self, key: str) -> bool:
        """Whether somebody subscribes to `key`, as far as is known here at present; may block."""
        try:
            publisher = self._publishers.get(key)
            if publisher is None:
                publisher = self._publishers[key] = self._session.declare_publisher(key)
            status: Any = publisher.matching_status
        except zenoh.ZError:
            return False  # the session has just ended
        return bool(status.matching)

    def answer(self, key: str, handle: Handle) -> None:
        """Call `handle(question)` for questions on `key`, in Zenoh's thread."""
        self._queryables[key] = (handle, self._declare_queryable(key, handle))

    def _declare_queryable(self, key: str, handle: Handle) -> Any:
        def query(query: zenoh.Query) -> None:
            handle(_Query(key, query))

        return self._session.declare_queryable(key, zenoh.handlers.Callback(query, indirect=False), complete=True)

    def ask(self, key: str, payload: bytes, timeout: float) -> Answer | None:
        """Query `key`: `(True, reply)`, `(False, reason)`, or None when nobody answered in time. Blocks."""
        for reply in self._session.get(key, payload=payload, timeout=timeout, target=zenoh.QueryTarget.BEST_MATCHING):
            if reply.ok is not None:
                return True, reply.ok.payload.to_bytes()
            reason = reply.err.payload.to_bytes() if reply.err is not None else b""
            return None if reason == b"Timeout" else (False, reason)
        return None

    def publish(self, key: str, part: Any, join: Join | None = None) -> None:
        """Have a frame published on `key`, in order; never blocks.

        Args:
            key: where.
            part: the frame; or what gives, when it is sent, one or more of them, each with what is attached to it; or,
                with `join`, what may become one frame with others that wait beside it.
            join: makes the frame.
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

    def _send_all(self, outbox: deque[tuple[str, Any, Join | None]]) -> None:
        while outbox:
            try:
                key, part, join = outbox.popleft()
                frames: Iterable[tuple[Any, bytes | None]]
                if join is None:
                    frames = part() if callable(part) else ((part, None),)
                else:
                    parts = [part]
                    while outbox and outbox[0][2] is join and outbox[0][0] == key and len(parts) < JOINED:
                        parts.append(outbox.popleft()[1])
                    frames = ((join(parts), None),)
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
                for frame, attached in frames:
                    # Zenoh takes no views.
                    publisher.put(bytes(frame) if frame.__class__ is memoryview else frame, attachment=attached)
            except zenoh.ZError as error:
                if not self._closing:
                    logger.warning("%s: not sent: %s", key, error)

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
        for key, (handle, _) in list(self._queryables.items()):
            self._queryables[key] = (handle, self._declare_queryable(key, handle))

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


class _Query:
    """A question (`Question`): who asked waits until it is dropped."""

    def __init__(self, key: str, query: zenoh.Query) -> None:
        self._key = key
        self._query = query
        self.payload = query.payload.to_bytes() if query.payload is not None else b""

    def answer(self, answer: bytes) -> None:
        self._query.reply(self._key, answer)
        self._query.drop()  # type: ignore[no-untyped-call]

    def refuse(self, reason: str) -> None:
        self._query.reply_err(reason.encode())
        self._query.drop()  # type: ignore[no-untyped-call]


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
