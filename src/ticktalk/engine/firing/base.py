"""The base of all firing rules: an inbox, turns in the agenda's order, counters, saving and restoring."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import count
from typing import Any

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.matching import Port, Waiting
from ticktalk.engine.state import Load, Saver
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import ON_TOKENS
from ticktalk.ranges import is_interval
from ticktalk.time import INFINITY, NEG_INFINITY, Tick

Fire = Callable[[Tick, Tick, tuple[Any, ...], int], None]
"""`(start, stop, values, now)`: run the body on a set that was decided at root tick `now`."""

Send = Callable[[Any, Tick, Tick], None]
"""`(value, start, stop)`: send a result."""

Leave = Callable[[Any, Tick, Tick, Sequence[str]], None]
"""`(value, start, stop, missing)`: a token leaves without having fired; the ports had nothing for it."""

_MADE = count()


class TTSQSync:
    """The base of all firing rules: an inbox, a place in the order of its agenda, counters.

    Attributes:
        inbox: the tokens that arrived since the last step from SQs of the same ensemble: `(port, start, stop, value)`.
        remote: the same from other ensembles; it comes first.
        leave: takes the tokens that leave its ports without having fired (`TTUnmatched=`); None: nobody does.
    """

    kept: tuple[str, ...] = ("newest", "number")  # attributes that are saved as they are

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        self.sq = sq
        self.key = (order, self)
        self.made: Tick = next(_MADE)
        self.queued = False
        self.agenda = agenda
        self.counters = counters
        self.inbox: list[tuple[int, Tick, Tick, Any]] = []
        self.remote: list[tuple[int, Tick, Tick, Any]] = []
        # Constants sit on their ports for good; only ports at which an arc ends take part in matching.
        self.arc_ports = [index for index, port in enumerate(sq.ports) if port.constant is None]
        self.slot = {port: slot for slot, port in enumerate(self.arc_ports)}
        self.number = 0  # of arrivals so far
        self.newest: Tick = NEG_INFINITY  # the newest finite start seen on any port
        self.eviction_bound = eviction_bound
        self.handled = any(arc.kind == "unmatched" for arc in sq.arcs)
        # A single run that is busy gives the tokens one by one to the handler.
        self.full = fires_full_tokens(sq)
        self.fire: Fire
        self.leave: Leave | None = None
        self.met: dict[int, set[int]] = {}  # of a token that waits: the slots of unused ones that it overlapped

    def __lt__(self, other: TTSQSync) -> bool:
        # Of two instances of one SQ at one tick (one cut off, one in its place) the older goes first.
        return self.made < other.made

    def take_over(self, fire: Fire) -> Fire:
        """Give the firings to `fire` from now on, for the accelerator; returns the former receiver."""
        former, self.fire = self.fire, fire
        return former

    def receive(self, port: int, start: Tick, stop: Tick, value: Any, from_other_ensemble: bool = False) -> None:
        """Take a token that arrives at the present tick; it is considered at this SQ's turn."""
        (self.remote if from_other_ensemble else self.inbox).append((port, start, stop, value))
        if not self.queued:
            self.agenda.make_ready(self)

    def step(self, now: int) -> None:
        """Consider the tokens that arrived, and the instants or deadlines that are due, at root tick `now`."""
        raise NotImplementedError

    def close(self) -> None:
        """Fire no more; pending timers have no effect, and leave its place to a successor."""
        self.hold()
        self.inbox.clear()
        self.remote.clear()

    def hold(self) -> None:
        """Take no turn until `release`; tokens and timers wait."""
        self.agenda.withdraw(self)
        self.queued = True  # so it is not made ready

    def release(self) -> None:
        """Take turns again, one at once."""
        self.queued = False
        self.agenda.make_ready(self)

    def save(self, saver: Saver) -> dict[str, Any]:
        """The state with which the instance can go on elsewhere (`restore`)."""
        saved: dict[str, Any] = {name: getattr(self, name) for name in self.kept}
        for name, tokens in (("inbox", self.inbox), ("remote", self.remote)):
            # One without end is a setting: it comes once, also when it has not had its turn yet.
            kept = [
                (port, saver.token(start, stop, value, "a token"))
                for port, start, stop, value in tokens
                if saver.everything or stop == INFINITY
            ]
            if kept:
                saved[name] = [(port, *token) for port, token in kept if token is not None]
        if self.met:
            saved["met"] = {number: sorted(slots) for number, slots in self.met.items()}
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        """Go on where `save` was called, at root tick `now`."""
        for name in self.kept:
            setattr(self, name, saved[name])
        self.met = {number: set(slots) for number, slots in saved.get("met", {}).items()}
        self.inbox[:0] = [(port, start, stop, load(data)) for port, start, stop, data in saved.get("inbox", ())]
        self.remote[:0] = [(port, start, stop, load(data)) for port, start, stop, data in saved.get("remote", ())]
        if not self.queued:
            self.agenda.make_ready(self)

    def fits(self, saved: dict[str, Any]) -> bool:
        """True if a state can be one that this rule saved: `restore` would break over another."""
        wanted = self.save(Saver())
        ports: Collection[int] = range(len(self.sq.ports)) if "due" in wanted else self.slot
        waiting = [token for name in ("ports", "sticky") for token in saved.get(name, ())]
        settled = saved.get("settled", self.arc_ports)
        arrived = [token for name in ("inbox", "remote") for token in saved.get(name, ())]
        data = [token for _, token in saved.get("data", ())]
        there = [token for token in settled if token is not None] if "settled" in saved else []
        return (
            wanted.keys() <= saved.keys() | {"inbox", "remote"}
            and len(settled) == len(self.arc_ports)
            and all(token[0] < len(self.arc_ports) for token in waiting)
            and all(token[0] in ports for token in arrived)
            and all(is_interval(token[1], token[3]) for token in (*waiting, *there, *data))
            and all(is_interval(token[1], token[2]) for token in arrived)
            and all(is_interval(token[0], token[2]) for name in ("due", "missed") for token in saved.get(name, ()))
        )

    def waiting(self) -> dict[str, int]:
        """Port name to number of tokens that wait there."""
        return {}

    def shed(self, size: Callable[[Any], int], most: int) -> int:
        """Let the stalest tokens leave consuming ports, counted, until `most` bytes of values wait; the bytes left."""
        sizes = sorted((token[2], size(token[3])) for _, port in self._consuming() for token in port.tokens)
        held, limit = sum(length for _, length in sizes), NEG_INFINITY
        for end, length in sizes:
            if held <= most or end == INFINITY:
                break
            held, limit = held - length, end + 1
        self._left("overflow", [(slot, token) for slot, port in self._consuming() for token in port.evict(limit)])
        return held

    def _consuming(self) -> Iterable[tuple[int, Port]]:
        """The ports on which tokens wait, by slot."""
        return ()

    def _left(self, kind: str, gone: Sequence[tuple[int, Waiting]]) -> None:
        """Count tokens that leave their ports, and give them to the handler."""
        self.counters.add(self.sq.name, kind, len(gone))
        self._unused(gone)

    def settle(self) -> None:
        """Evict the tokens whose eviction was put off; called before counters are read."""

    @property
    def pending(self) -> bool:
        """True if something will still happen here without a further token."""
        return False

    def _arrived(self) -> list[tuple[int, Tick, Tick, Any]]:
        if self.remote:
            arrived = self.remote + self.inbox
            self.remote.clear()
        else:
            arrived = self.inbox[:]
        self.inbox.clear()
        return arrived

    def _unused(self, gone: Sequence[tuple[int, Waiting]]) -> None:
        """Give tokens that left their ports together, by slot, to the handler, if there is one."""
        for slot, (start, number, stop, value) in gone if self.leave is not None else ():
            met = self.met.pop(number, set())
            met.update(other for other, token in gone if token[0] < stop and token[2] > start)
            for other, port in enumerate(self.arc_ports):
                for token in self._overlapping(other, start, stop):
                    met.add(other)
                    if other != slot and not self.sq.ports[port].sticky:
                        self.met.setdefault(token[1], set()).add(slot)
            assert self.leave is not None
            self.leave(value, start, stop, [self._name(other) for other in self.slot.values() if other not in met])

    def _overlapping(self, slot: int, start: Tick, stop: Tick) -> Sequence[Waiting]:
        """The tokens at a port that share a tick with [start, stop)."""
        return ()

    def _saved(self, slot: int, token: Waiting, saver: Saver) -> tuple[Any, ...] | None:
        """`(slot, start, number, stop, value)`, or None when the value has no codec."""
        start, number, stop, value = token
        port = self._name(slot) if slot < len(self.arc_ports) else "data"
        kept = saver.token(start, stop, value, f"the token on {port}")
        return None if kept is None else (slot, start, number, stop, kept[2])

    def _all_saved(self, ports: Iterable[tuple[int, Port]], saver: Saver, everything: bool) -> list[tuple[Any, ...]]:
        """The tokens on some ports, by slot, as `_saved`; those that end only if `everything` is to be saved."""
        tokens = [(slot, token) for slot, port in ports for token in port.tokens if everything or token[2] == INFINITY]
        return [saved for slot, token in tokens if (saved := self._saved(slot, token, saver))]

    def _name(self, slot: int) -> str:
        return self.sq.ports[self.arc_ports[slot]].name


def takes_full_tokens(sq: TTSQ) -> bool:
    """True if an SQ works on tokens with their intervals, not on values alone."""
    return sq.full_token or (not sq.body and sq.function in ON_TOKENS)


def fires_full_tokens(sq: TTSQ) -> bool:
    """True if sets come with their intervals: the SQ wants them, or its single run hands what it drops to a handler."""
    return takes_full_tokens(sq) or (sq.single_run is not None and any(arc.kind == "unmatched" for arc in sq.arcs))


def values_of(tokens: list[Any], full: bool) -> tuple[Any, ...]:
    """A set of tokens as `Fire` takes it; `full`: with their intervals."""
    if full:
        return tuple([(token[0], token[2], token[3]) for token in tokens])
    return tuple([token[3] for token in tokens])


def loaded(token: Sequence[Any], load: Load) -> Waiting:
    """A waiting token, made again from its saved form."""
    start, number, stop, data = token
    return start, number, stop, load(data)
