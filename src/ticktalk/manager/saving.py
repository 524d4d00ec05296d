"""The manager's state in parts that a store keeps, and the messages that wait until they are written.

A part is a piece of the state that changes as one: an ensemble, a program, a graph, a start, a checkpoint. Only the
parts that have changed are written. A message to others, or a reply, waits until all that the manager knew then is
written. So a manager that dies has told nobody of what its successor does not know.

Not kept are the latest output rows, and what is told anew all the time, such as when an ensemble was heard.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from ticktalk.errors import TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.completion import Completion
from ticktalk.manager.state import (
    ContextState,
    EnsembleState,
    GraphState,
    LostEnsemble,
    ManagerState,
    Profile,
    ReplaceState,
)
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import FiringError, InstanceState

FORMAT = 2
"""The version of the parts. Another version does not read them."""


class Store(Protocol):
    """Keeps parts by key."""

    def write(self, changes: Mapping[str, bytes | None], then: Callable[[], None]) -> None:
        """Write parts (None: there is no such part any more), all or none; then call `then`, in the order of calls."""


class _Errors(msgspec.Struct):
    """The errors of firings in the state."""

    count: int
    latest: list[FiringError]
    length: int


class _Progress(msgspec.Struct):
    """The part of a start that its ensembles' reports and outputs change all the time."""

    completion: Completion
    outputs: dict[str, int]
    profiles: dict[str, Profile | None]
    runs_long: set[str]


class _Place(msgspec.Struct, frozen=True):
    """An ensemble, and which one it is in the order of joining."""

    info: EnsembleInfo
    order: int


def parts(state: ManagerState, quiet: Collection[str] = ()) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    """The parts of a state.

    Args:
        state: all that the manager knows.
        quiet: graphs whose starts that have ended are left out.

    Yields:
        The key; the content; and a value that is the same as long as the content is, or None.
    """
    own = msgspec.structs.replace(
        state, ensembles={}, lost={}, graphs={}, replacements={}, errors=0, latest_errors=[], errors_length=0
    )
    yield ("manager",), own, None
    yield ("errors",), _Errors(state.errors, state.latest_errors, state.errors_length), state.errors
    for order, (name, ensemble) in enumerate(state.ensembles.items()):
        yield ("ensemble", name), _Place(ensemble.info, order), None
    for name, lost in state.lost.items():
        yield ("lost", name), lost, None
    for name, replacement in state.replacements.items():
        yield ("replacement", name), msgspec.structs.replace(replacement, states={}), None
        for number, states in replacement.states.items():
            for sq, saved in states.items():
                yield ("replaced", name, number, sq), saved, saved
    for name, graph in state.graphs.items():
        yield ("program", name), graph.graph, graph.graph
        yield (
            ("graph", name),
            msgspec.structs.replace(graph, graph=TTGraph(name), contexts={}, rows=[], rows_length=0),
            None,
        )
        for number, context in graph.contexts.items():
            if context.ended and name in quiet:
                continue
            rest = msgspec.structs.replace(
                context, completion=Completion(set()), outputs={}, profiles={}, runs_long=set(), checkpoints={}
            )
            yield ("context", name, number), rest, None
            progress = _Progress(context.completion, context.outputs, context.profiles, context.runs_long)
            yield ("progress", name, number), progress, None
            for sq, saved in context.checkpoints.items():
                yield ("checkpoint", name, number, sq), saved, saved


def joined(kept: Mapping[str, bytes]) -> ManagerState | None:
    """The state whose parts are kept; None: none are.

    Raises:
        TTRuntimeError: they are no parts of a state.
    """
    if not kept:
        return None
    try:
        return _joined({tuple(msgspec.json.decode(key, type=list[str | int])): kept[key] for key in sorted(kept)})
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise TTRuntimeError(f"it does not hold what a manager knows ({type(error).__name__}: {error})") from None


def _joined(kept: Mapping[tuple[str | int, ...], bytes]) -> ManagerState:
    def each(kind: str, wanted: type[Any]) -> Iterator[tuple[Any, Any]]:
        for key, content in kept.items():
            if key[0] == kind:
                yield key[1:], msgspec.msgpack.decode(content, type=wanted)

    state = msgspec.msgpack.decode(kept["manager",], type=ManagerState)
    errors = msgspec.msgpack.decode(kept["errors",], type=_Errors)
    state.errors, state.latest_errors, state.errors_length = errors.count, errors.latest, errors.length
    for _, place in sorted(each("ensemble", _Place), key=lambda found: found[1].order):
        state.ensembles[place.info.name] = EnsembleState(place.info)
    state.lost = {name: lost for (name,), lost in each("lost", LostEnsemble)}
    state.replacements = {name: replacement for (name,), replacement in each("replacement", ReplaceState)}
    for (name, number, sq), saved in each("replaced", InstanceState):
        state.replacements[name].states.setdefault(number, {})[sq] = saved
    state.graphs = {name: graph for (name,), graph in each("graph", GraphState)}
    for (name,), program in each("program", TTGraph):
        state.graphs[name].graph = program
    contexts = dict(each("context", ContextState))
    for (name, number), progress in each("progress", _Progress):
        context = contexts[name, number]
        context.completion, context.outputs = progress.completion, progress.outputs
        context.profiles, context.runs_long = progress.profiles, progress.runs_long
    for (name, number, sq), saved in each("checkpoint", InstanceState):
        contexts[name, number].checkpoints[sq] = saved
    for name, number in sorted(contexts):
        state.graphs[name].contexts[number] = contexts[name, number]
    return state


class ChangedParts:
    """Finds the parts that have changed since they were looked at last.

    Args:
        kept: the keys that the store has.
    """

    def __init__(self, kept: Mapping[str, bytes]) -> None:
        self._known: dict[str, tuple[Any, bytes]] = dict.fromkeys(kept, (None, b""))
        # By graph, numbers that differ when a start that has ended changes, and the parts of such starts: there may be
        # a hundred of each graph, so they are not looked at each time.
        self._ended: dict[str, tuple[tuple[int, ...], dict[str, tuple[Any, bytes]]]] = {}

    def of(self, state: ManagerState) -> dict[str, bytes | None]:
        """Key to new content; None: the part is gone."""
        found: dict[str, bytes | None] = {}
        known, before = {}, self._known
        ended = {name: (_as_ended(graph), dict[str, tuple[Any, bytes]]()) for name, graph in state.graphs.items()}
        quiet = {name for name, (now, _) in ended.items() if name in self._ended and self._ended[name][0] == now}
        ended.update({name: self._ended[name] for name in quiet})
        for name in self._ended.keys() - quiet:
            before.update(self._ended[name][1])
        for place, content, same_as in parts(state, quiet):
            key = _key(place)
            last = before.get(key, (None, b""))
            if same_as is not None and (last[0] is same_as or (same_as.__class__ is int and last[0] == same_as)):
                known[key] = last
                continue
            encoded = _encoder.encode(content)
            mark = blake2b(encoded, digest_size=16).digest()
            if mark != last[1]:
                found[key] = encoded
            known[key] = same_as, mark
        found.update(dict.fromkeys(before.keys() - known.keys()))
        for name in ended.keys() - quiet:
            for number, context in state.graphs[name].contexts.items() if ended[name][0] else ():
                for key in map(_key, (("context", name, number), ("progress", name, number))) if context.ended else ():
                    ended[name][1][key] = known.pop(key)
        self._known, self._ended = known, ended
        return found


class Keeper:
    """Has acts wait until all that the manager knows is written.

    Args:
        state: all that the manager knows.
        kept: the parts that the store has.
        store: takes what has changed.
        soon: has a call made after the present message is handled.
        before: called before something is written.
    """

    def __init__(
        self,
        state: ManagerState,
        kept: Mapping[str, bytes],
        store: Store,
        soon: Callable[[Callable[[], None]], None],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._state, self._store, self._soon, self._before = state, store, soon, before
        self._changes = ChangedParts(kept)
        self._waits: list[Callable[[], None]] = []

    def when_written(self, act: Callable[[], None]) -> None:
        """Call `act` when all is written that is known at the end of the present message; in the order of calls."""
        self._waits.append(act)
        if len(self._waits) == 1:
            self._soon(self.write)

    def write(self) -> None:
        """Write what has changed."""
        waits, self._waits = self._waits, []
        self._before()
        changes = self._changes.of(self._state)

        def written() -> None:
            for act in waits:
                act()

        if changes or waits:
            self._store.write(changes, written)


def _as_ended(graph: GraphState) -> tuple[int, ...]:
    """Numbers that differ as soon as a start of a graph that has ended changes."""
    ended = [context for context in graph.contexts.values() if context.ended]
    if not ended:
        return ()
    numbers = sum(context.number for context in ended)
    return graph.changed_late, len(ended), numbers, sum(context.output_count for context in ended)


def _key(place: tuple[str | int, ...]) -> str:
    return msgspec.json.encode(place).decode()


_encoder = msgspec.msgpack.Encoder()
