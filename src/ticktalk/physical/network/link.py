"""A device's end of the network, for any transport; `zenoh_link` has the one there is.

Sending can block for seconds when a receiver stands still. So `send` and `publish` only put into the outbox of their
path and receiver (`outbox`), and `flush`, which may block, sends. A transport adds its sessions: how one opens and
ends, publishes, subscribes, asks and answers.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ticktalk.errors import TTRuntimeError
from ticktalk.messages import ROWS, Message
from ticktalk.network_interface import Handle, Join, Receive, TTNetworkInterface
from ticktalk.network_keys import Path, control_key
from ticktalk.physical.network.control_frames import control_frame
from ticktalk.physical.network.frames import FrameError
from ticktalk.physical.network.outbox import TOKENS_HELD, Outbox
from ticktalk.physical.trust.connection_keys import Door

logger = logging.getLogger("ticktalk.link")

OUTBOXES = 1000
"""Outboxes that are kept though nothing waits in them."""

Withdraw = Callable[[], None]
"""Ends a subscription."""


class LinkError(TTRuntimeError):
    """A session that cannot be opened, or a payload that cannot be sent; the message gives reason and remedy."""


class NoSuchAddressError(LinkError):
    """This host does not have the address on which it is to listen."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address}: this host has no such address: choose another with --ip")


class NobodyAnswersError(LinkError):
    """The address of the session does not answer; trying again may help."""


class PortInUseError(LinkError):
    """Another process listens on the port of the session."""


class Link(TTNetworkInterface):
    """A device's end of the network.

    It is closed at first. Publications are dropped then; subscriptions and answers begin when it opens, and go on when
    it is reopened.

    Attributes:
        name: of the ensemble whose end this is.
        take: takes the control messages that it sends to itself.
        seal: `(recipient, frame, signed, path)`: seals a control frame; `signed`: with the manager's signature, too.
        mode: "router" (the manager), "peer", or "client" (relayed by the manager).
        is_open: there is a session.
        overflow: called when a frame was dropped because too many wait.
        waiting: called when an outbox is not empty any more: `flush` is wanted. By default, `flush` itself.
    """

    def __init__(self) -> None:
        self.name = ""
        self.take: Callable[[Message], None] = lambda message: None
        self.seal: Callable[[str, bytes, bool, Path], bytes] = lambda recipient, frame, signed, path: frame
        self.mode = ""
        self.is_open = False
        self.overflow: Callable[[], None] = lambda: None
        self.waiting: Callable[[], None] = self.flush
        self._subscriptions: dict[str, tuple[Receive, Withdraw | None]] = {}
        self._handles: dict[str, Handle] = {}
        self._tokens = Outbox(Path.TOKENS, TOKENS_HELD)
        self._outboxes: dict[tuple[Path, str], Outbox] = {}  # by path and key of the receiver
        self._filled: deque[Outbox] = deque()  # outboxes with content that no thread has begun to send
        self._closing = False

    def open(
        self,
        mode: str,
        listen: str = "",
        connect: Sequence[str] = (),
        door: Door = None,
        bind: str = "",
        timeout: float = 3.0,
    ) -> None:
        """Open a session, or another one in its place, with everything that was declared. Blocks.

        Args:
            mode: see above.
            listen: `IP:PORT`, if others are to connect to it.
            connect: `IP:PORT` of others, the manager's first.
            door: what connections need.
            bind: the local `IP:PORT` of the connection to the manager; empty: any.
            timeout: seconds that opening may take until the manager answers.

        Raises:
            LinkError: the port is in use, or there is no answer; the link is closed then.
        """
        if self.is_open:
            self.is_open = False
            self._end()
        self._start(mode, listen, connect, door, bind, timeout)
        self.mode, self.is_open = mode, True
        for key, (receive, _) in list(self._subscriptions.items()):
            self._subscriptions[key] = (receive, self._subscribe(key, receive))
        for key, handle in list(self._handles.items()):
            self._answer(key, handle)

    def close(self, grace: float = 1.0) -> None:
        """Send the waiting payloads, for at most `grace` seconds, and end the session. Blocks."""
        if not self.is_open:
            return
        self._closing = True
        for key in list(self._subscriptions):
            # Before the session ends: no call from the transport may find a Python that is being taken down.
            try:
                self.unsubscribe(key)
            except LinkError as error:
                logger.debug("closing: %s", error)
        self._send_within(grace, [outbox for outbox in (self._tokens, *self._outboxes.values()) if outbox.waits])
        self.is_open = False
        self._end()

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message; one to this ensemble itself is taken at once."""
        if ensemble == self.name:
            self.take(message)
        else:
            self.send_frame(ensemble, message.msg_type, control_frame(message))

    def send_frame(self, ensemble: str, kind: enum.Enum, frame: bytes) -> None:
        """Send the frame of a control message of this kind to another ensemble."""
        row = ROWS[kind]
        try:
            sealed = self.seal(ensemble, frame, row.signed, row.path)
        except FrameError as error:
            logger.debug("%s is not sent: %s", kind.name, error)
        else:
            self._put_in(row.path, control_key(ensemble), sealed)

    def wait_for(self, path: Path, ensemble: str, limit: float) -> None:
        """Send what waits on a path to an ensemble; return when it has gone, or after `limit` seconds. Blocks."""
        outbox = self._outboxes.get((path, control_key(ensemble)))
        if outbox is not None:
            self._send_within(limit, [outbox])

    def send_again(self, ensemble: str, frame: bytes) -> None:
        """Send a control message, sealed before, once more."""
        self._put_in(Path.CONTROL, control_key(ensemble), frame)

    def subscribe(self, key: str, receive: Receive) -> None:
        """Call `receive(payload, attached)` for publications on `key`, in a thread of the transport's."""
        self._subscriptions[key] = (receive, self._subscribe(key, receive) if self.is_open else None)

    def unsubscribe(self, key: str) -> None:
        """Take no more from `key`."""
        _, withdraw = self._subscriptions.pop(key, (None, None))
        if withdraw is not None:
            withdraw()

    def answer(self, key: str, handle: Handle) -> None:
        """Call `handle(question)` for questions on `key`, in a thread of the transport's."""
        self._handles[key] = handle
        if self.is_open:
            self._answer(key, handle)

    def publish(
        self, key: str, part: Any, join: Join | None = None, to: Sequence[str] | None = None, size: int = 0
    ) -> None:
        """Have a frame published on `key`, in order; never blocks. It reaches all that subscribe to the key."""
        if self.is_open:
            self._add(self._tokens, key, part, join, size)

    @property
    def unsent(self) -> int:
        """See `TTNetworkInterface`."""
        return self._tokens.size

    def _put_in(self, path: Path, key: str, frame: bytes) -> None:
        """Have a frame sent to one receiver."""
        if not self.is_open:
            return
        outbox = self._outboxes.get((path, key))
        if outbox is None:
            if len(self._outboxes) >= OUTBOXES:
                self._outboxes = {place: each for place, each in self._outboxes.items() if each.waits}
            outbox = self._outboxes[path, key] = Outbox(path)
        self._add(outbox, key, frame, None, len(frame))

    def _add(self, outbox: Outbox, key: str, part: Any, join: Join | None, size: int = 0) -> None:
        first, dropped = outbox.add(key, part, join, size)
        for _ in range(dropped):
            self.overflow()
        if first:
            self._filled.append(outbox)
            self.waiting()

    def flush(self) -> None:
        """Send the waiting parts; may block. Leaves to another thread the parts it already sends."""
        filled = self._filled
        while filled:
            try:
                outbox = filled.popleft()
            except IndexError:
                return  # another thread was faster
            while outbox.waits and outbox.sending.acquire(False):
                try:
                    self._send_all(outbox)
                finally:
                    outbox.sending.release()

    def _send_all(self, outbox: Outbox) -> None:
        while (found := outbox.next()) is not None:
            key, frames = found
            try:
                for frame, attached in frames:
                    self._put(outbox.path, key, frame, attached)
            except LinkError as error:
                if not self._closing:
                    logger.warning("%s: not sent: %s", key, error)

    def _send_within(self, seconds: float, outboxes: Sequence[Outbox]) -> None:
        """Send the waiting parts of outboxes, for so long at most. Blocks."""
        senders = [threading.Thread(target=self._send_rest, args=(outbox,), daemon=True) for outbox in outboxes]
        until = time.monotonic() + seconds
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(max(0.0, until - time.monotonic()))

    def _send_rest(self, outbox: Outbox) -> None:
        with outbox.sending:
            self._send_all(outbox)

    # Added by a transport, with `identity`, `reachable`, `subscribed` and `ask`.

    @abstractmethod
    def _start(self, mode: str, listen: str, connect: Sequence[str], door: Door, bind: str, timeout: float) -> None:
        """Open a session (`open`)."""

    @abstractmethod
    def _end(self) -> None:
        """End the session, in a bounded time."""

    @abstractmethod
    def _subscribe(self, key: str, receive: Receive) -> Withdraw:
        """Declare a subscription on the session."""

    @abstractmethod
    def _answer(self, key: str, handle: Handle) -> None:
        """Declare on the session that questions are answered."""

    @abstractmethod
    def _put(self, path: Path, key: str, payload: Any, attached: bytes | None) -> None:
        """Publish a payload; may block, but not for payloads on another path.

        Raises:
            LinkError: it cannot be sent.
        """
