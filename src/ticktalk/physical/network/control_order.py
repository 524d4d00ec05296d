"""Control messages between an ensemble and the manager: each is taken once, after those before it.

Where a session of the network ends and another begins, all that was under way is lost. So a sender keeps its messages
until the other side has taken them. Heartbeats say how far both are (`ControlState`). Missing messages are asked for
and sent again; later ones wait for them. The manager says which is the first one when it lets an ensemble take part.

Sans-I/O; owned by the timekeeper. Messages have the numbers of their seals (`Guard`), which begin anew with each start
of a process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from ticktalk.heartbeats import ControlState
from ticktalk.network_keys import Path
from ticktalk.physical.network.frames import FrameError
from ticktalk.physical.trust.guard import Guard, Proven

KEPT_BYTES = 64 << 20
"""Bytes of messages that are kept for one receiver; beyond that the oldest are given up, but for the latest. As many
wait for others of their sender before them."""

AGAIN = 500_000
"""Microseconds in which a message is sent again once at most. The time doubles until all of them are taken: one that
asks without end gets little, and what a link loses waits about as long again as the link was down."""

AGAIN_AT_MOST = 8_000_000
"""Microseconds beyond which that time does not double."""

EARLY = 10_000
"""Messages of one sender that wait for others before them; further ones are asked for again."""


class _Way:
    """The messages to and from one session of another process."""

    __slots__ = (
        *("again_at", "again_upto", "asks", "early", "early_size", "kept", "next"),
        *("pause", "session", "size", "taken", "told"),
    )

    def __init__(self, session: bytes | None) -> None:
        self.session = session
        self.kept: deque[tuple[int, bytes]] = deque()  # numbers and frames that were sent, and may not have come
        self.size = 0
        self.next = 0  # the number of the next one to take; 0: nothing has said yet what the first one is
        self.taken: set[int] = set()  # numbers that were taken before that was known
        self.early: dict[int, Proven] = {}
        self.early_size = 0
        self.told = 0  # how many the other has sent, as its last heartbeat says
        self.asks = False
        self.again_at, self.again_upto, self.pause = 0, 0, 0  # when messages were sent again, up to which one

    def to_send_again(self, now: int) -> list[bytes]:
        """The messages that are sent again, as the other asks: those that were not sent again a short time ago."""
        if now - self.again_at >= self.pause:
            self.pause = min(AGAIN_AT_MOST, 2 * self.pause or AGAIN)
            self.again_at, self.again_upto = now, 0
        found = [frame for number, frame in self.kept if number > self.again_upto]
        if self.kept:
            self.again_upto = self.kept[-1][0]
        return found

    def give_up(self, upto: int) -> None:
        """Keep no messages up to a number."""
        while self.kept and self.kept[0][0] <= upto:
            self.size -= len(self.kept.popleft()[1])

    def in_turn(self) -> list[Proven]:
        """The messages whose turn it is."""
        found = []
        while self.next in self.early or self.next in self.taken:
            if self.next in self.early:
                found.append(self._out(self.next))
            self.taken.discard(self.next)
            self.next += 1
        return found

    def skip(self, to: int) -> list[Proven]:
        """The messages before a number are given up, but for those that are here: it is their turn."""
        self.next = to
        return [self._out(number) for number in sorted(self.early) if number < to]

    def _out(self, number: int) -> Proven:
        proven = self.early.pop(number)
        self.early_size -= len(proven.opened.body)
        return proven


class ControlOrder:
    """The order of the control messages of one ensemble, or of the manager.

    Args:
        guard: seals and opens the messages; None: nothing is sealed, and the order is that of the network.
        name: of this ensemble.
        manager: the manager's name.
        send_again: `(ensemble, frame)`: sends a sealed message once more.
    """

    def __init__(self, guard: Guard | None, name: str, manager: str, send_again: Callable[[str, bytes], None]) -> None:
        self._guard, self._name, self._manager, self._send_again = guard, name, manager, send_again
        self._ways: dict[str, _Way] = {}

    def _of(self, name: str) -> _Way | None:
        """The way to and from an ensemble that exchanges heartbeats with this one; None: it does not."""
        if self._guard is None or self._manager not in (name, self._name):
            return None
        session, way = self._guard.session_of(name), self._ways.get(name)
        if way is None or way.session != session:
            way = self._ways[name] = _Way(session)
        return way

    def seal(self, recipient: str, content: bytes, signed: bool, path: Path) -> bytes:
        """See `Guard.seal`."""
        if self._guard is None:
            return content
        frame = self._guard.seal(recipient, content, signed, path)
        way = self._of(recipient) if path is Path.CONTROL else None
        if way is not None:
            way.kept.append((self._guard.last_number(recipient, path), frame))
            way.size += len(frame)
            while way.size > KEPT_BYTES and len(way.kept) > 1:
                way.give_up(way.kept[0][0])
        return frame

    def came(self, came: bytes | Proven | FrameError) -> Sequence[bytes | Proven | FrameError]:
        """A frame has come, proven or not yet: what is to be taken now."""
        if isinstance(came, bytes) and self._guard is not None:
            try:
                came = self._guard.prove(came)
            except FrameError as error:
                came = error
        return self.take(came) if isinstance(came, Proven) else [came]

    def take(self, proven: Proven) -> list[Proven]:
        """A message has come: those whose turn it is now."""
        way = self._of(proven.sender) if proven.path is Path.CONTROL else None
        if way is None or proven.counter < way.next or proven.counter in way.taken:
            return [proven]  # the guard knows whether it is new
        if not way.next:
            if len(way.taken) < EARLY:
                way.taken.add(proven.counter)
            return [proven]
        size = len(proven.opened.body)
        room = len(way.early) < EARLY and way.early_size + size <= KEPT_BYTES
        if (room or proven.counter == way.next) and proven.counter not in way.early:
            way.early[proven.counter] = proven
            way.early_size += size
        return way.in_turn()

    def says(self, name: str) -> ControlState:
        """The state of both ways, for a heartbeat to an ensemble."""
        way = self._of(name)
        if way is None or self._guard is None:
            return ControlState()
        asks, way.asks = way.asks, False
        last = self._guard.last_number(name, Path.CONTROL)
        return ControlState(max(0, way.next - 1), self.first(name), last, asks)

    def first(self, name: str) -> int:
        """The number of the first message that is kept for an ensemble, or of the next; 0: it is not known."""
        way = self._of(name)
        if way is None or self._guard is None:
            return 0
        return way.kept[0][0] if way.kept else self._guard.last_number(name, Path.CONTROL) + 1

    def begin(self, name: str, first: int) -> None:
        """The first message of an ensemble's session has this number (0: nothing is said), unless one is known."""
        way = self._of(name)
        if way is not None:
            way.next = way.next or first

    def heard(self, name: str, state: ControlState, now: int) -> list[Proven]:
        """A heartbeat of an ensemble has come, now (microseconds): the messages whose turn it is."""
        way = self._of(name)
        if way is None or not state.first:
            return []
        if state.taken >= way.again_upto:
            way.pause = 0
        way.give_up(state.taken)
        for frame in way.to_send_again(now) if state.again else ():
            self._send_again(name, frame)
        self.begin(name, state.first)
        left = way.skip(state.first) if way.next < state.first and way.next <= way.told else []
        # Messages that the heartbeat before this one told of have had their time.
        way.asks = way.next <= way.told
        way.told = max(way.told, state.last)
        return left + way.in_turn()

    def is_behind(self, name: str) -> bool:
        """True if messages have still to come that were sent before the last heartbeat."""
        way = self._of(name)
        return way is not None and 0 < way.next <= way.told
