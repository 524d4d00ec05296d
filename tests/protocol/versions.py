"""The invariants of a graph that is replaced: its versions, one after the other, are one graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from broken import hold
from played_programs import feeders, in_plain_python

from ticktalk.graph.graph import TTGraph
from ticktalk.records import TookOver

if TYPE_CHECKING:
    from watch import Firing, Key, Logged


class Versions:
    """The starts of which each is that of another version, and goes on where the one before ended.

    Args:
        took_over: what the managers have said of that, and which SQs began anew.
    """

    def __init__(self, took_over: Iterable[tuple[TookOver, list[str]]]) -> None:
        self._before: dict[int, int] = {}
        self._dropped: dict[int, list[str]] = {}
        self._came_back: Counter[int] = Counter()
        for note, dropped in took_over:
            for ended, goes_on in note.contexts.items():
                if goes_on < ended:
                    self._came_back[goes_on] += 1
                elif goes_on not in self._before:  # else the next manager says so once more
                    self._before[goes_on], self._dropped[goes_on] = ended, dropped

    def first(self, context: int) -> int:
        """The start with which one began, maybe in another version."""
        while context in self._before:
            context = self._before[context]
        return context

    def one_at_a_time(
        self, firings: Mapping[Key, list[Firing]], revoked: Collection[str], gone: Collection[str]
    ) -> None:
        """A version that has ended does not fire, unless it comes back; no stream has an instant in two versions.

        Args:
            firings: all of them.
            revoked: ensembles that have no say, whatever they do.
            gone: those that were lost; what they have done since their last report is not known.
        """
        hidden = {
            (context, firing.start)
            for (_, context, _), of in firings.items()
            for firing in of
            if firing.ensemble in revoked or firing.ensemble in gone
        }
        for (_, sq), each in self._together(firings).items():
            fired = sorted(
                ((firing, context) for context, of in each.items() for firing in of if firing.ensemble not in revoked),
                key=lambda one: one[0].now,
            )
            began: Counter[int] = Counter()
            last = 0
            seen: dict[Any, tuple[Firing, int]] = {}
            newest: Counter[int] = Counter()
            for firing, context in fired:
                newest[context] = max(newest[context], firing.generation)
                if context != last:
                    last = context
                    began[context] += 1
                    what = f"{sq} of context {context}: {firing}"
                    hold("one version goes on", began[context] <= 1 + self._came_back[context], what)
            for firing, context in fired:
                before, where = seen.setdefault(firing.start, (firing, context))
                # What was lost goes on from a checkpoint, or a switch: it may do some of it once more. So may those to
                # which it has sent tokens that the manager does not know of.
                again = firing.generation > 0 or newest[where] > before.generation or (where, firing.start) in hidden
                what = f"{sq}: {before} in context {where}, {firing} in context {context}"
                hold("an instant is of one version", where == context or again, what)

    def _together(self, firings: Mapping[Key, list[Firing]]) -> dict[tuple[int, str], dict[int, list[Firing]]]:
        """By first start and SQ: by start, the firings; only where there was more than one version."""
        replaced = {self.first(context) for context in self._before}
        found: dict[tuple[int, str], dict[int, list[Firing]]] = {}
        for (_, context, sq), fired in firings.items():
            if self.first(context) in replaced:
                found.setdefault((self.first(context), sq), {})[context] = fired
        return found

    def values(
        self,
        firings: Mapping[Key, list[Firing]],
        programs: Mapping[str, TTGraph],
        logged: Iterable[Logged],
        all_instants: bool,
        all_taken: bool,
    ) -> None:
        """Without losses outputs are those of plain Python: a version begins with a copy of the states before.

        Args:
            firings: all of them.
            programs: the versions, by name.
            logged: the outputs.
            all_instants: no instant of a stream was skipped, or changed.
            all_taken: no token was dropped because its interval begins before one that was taken.
        """
        taken = {(context, sq, firing.start) for (_, context, sq), of in firings.items() for firing in of}
        version_of = {context: programs[graph] for graph, context, _ in firings}
        wanted: dict[tuple[int, str, Any], int] = {}
        for (_, sq), each in self._together(firings).items():
            streams = {context: next(one for one in version_of[context].sqs if one.name == sq) for context in each}
            if any(stream.trigger != "grid" for stream in streams.values()):
                continue
            last, states = None, dict[int, dict[str, int]]()  # each stream has SQs of its own behind it
            # By the times at which they fired: where a period was set, a version may begin before what was fired last.
            fired = sorted((firing.now, firing.start, context) for context, of in each.items() for firing in of)
            for _, start, context in fired:
                stream = streams[context]
                if last is not None and streams[last[1]].every == stream.every and all_instants:
                    what = f"{sq} in context {context}: {start} comes after {last[0]} in context {last[1]}"
                    hold("no instant is missing", start - last[0] == stream.every, what)
                last = start, context
                state = self._state(context, states, version_of)
                given = {sq: in_plain_python(stream, None, state)}
                wanted[context, sq, start] = given[sq]
                fed = feeders(version_of[context])
                for other in version_of[context].sqs:  # in the order of the program
                    takes = all_taken or (context, other.name, start) in taken
                    if fed.get(other.name) in given and other.function != "fails" and takes:
                        given[other.name] = in_plain_python(other, given[fed[other.name]], state)
                        wanted[context, other.name, start] = given[other.name]
        for token in logged:
            right = wanted.get((token.context, token.sq, token.start), token.value)
            hold("states are carried over", token.value == right, f"{token}, not {right}")

    def _state(
        self, context: int, states: dict[int, dict[str, int]], version_of: Mapping[int, TTGraph]
    ) -> dict[str, int]:
        """The states of a start; when it is first asked for, a copy of those before it."""
        if context not in states:
            before = states.get(self._before.get(context, 0), {})
            here = {sq.name for sq in version_of[context].sqs} - set(self._dropped.get(context, ()))
            states[context] = {sq: state for sq, state in before.items() if sq in here}
        return states[context]
