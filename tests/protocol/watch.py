"""The invariants: what has to hold while a system runs, when it has come to rest, and at its end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from broken import BrokenError, hold
from played_system import MANAGER, MS, S
from versions import Versions

from ticktalk.engine.context import Context
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.errors import TTError
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.arc_numbers import ContextArcs
from ticktalk.hosted.lease import Times
from ticktalk.manager.deploy import Deploy
from ticktalk.manager.events import Gone, NotBack
from ticktalk.manager.state import GraphState
from ticktalk.physical.network.tokens import Passing
from ticktalk.replacement import title_of

if TYPE_CHECKING:
    from played_run import Run

    from ticktalk.physical.network.token_frames import Parcel
    from ticktalk.physical.network.tokens import Incoming

FLOWS = 2 * S
"""Microseconds within which a stream gives an output again."""

ACTS = 1 * S
"""Microseconds after which a revocation has taken effect at a manager that is reached."""


HEARD, FOUND = 950 * MS, 220 * MS
"""The longest round trips to the manager at which no lease ends: while the manager lives, and where it is followed.

Within a lease the next heartbeat has to be answered; or else silence has to be noticed, and two questions answered.
"""


class Firing(NamedTuple):
    """A firing that was decided: when, where, and of which generation."""

    now: int
    ensemble: str
    generation: int
    start: Any


Key = tuple[str, int, str]
"""An instance: its graph, context and SQ."""


class _Looked:
    """How far the firings of an instance have been looked at."""

    def __init__(self, sender: Key | None) -> None:
        self.sender = sender
        self.at = 0
        self.newest = Firing(0, "", -1, 0)
        self.seen: Counter[tuple[int, Any]] = Counter()


class Logged(msgspec.Struct):
    """A line of the log of outputs; `graph` is the name that people know."""

    graph: str
    context: int
    sq: str
    ensemble: str
    start: int | None
    arrival: int
    value: Any = None


_logged = msgspec.json.Decoder(Logged)


class Way(NamedTuple):
    """The tokens of an SQ that are for an ensemble, in all versions of a graph."""

    graph: str
    sq: str
    to: str


class Watch:
    """Watches a run; as a context manager it is told of each firing, and of each token between ensembles."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.firings: dict[Key, list[Firing]] = {}
        self.came: Counter[tuple[str, int]] = Counter()
        self.sent: Counter[Way] = Counter()
        self.took: Counter[Way] = Counter()
        self._generations: dict[tuple[str, str], int] = {}
        self._takes = 0  # the generation of the tokens that are taken now
        self._older: list[str] = []  # such as were taken though a newer one was known
        self._looked: dict[Key, _Looked] = {}
        self._starts: dict[Key, Counter[Any]] = {}
        self._lines: list[Logged] = []
        self._rests: list[str] = []  # ensembles whose lease ended though nothing was lost
        self._renewed: set[str] = set()  # graphs of which SQs were placed anew in a version that has ended
        self._unanswered: dict[str, int] = {}  # ensembles whose manager died when they had just asked it: when it did

    def __enter__(self) -> None:
        wire, watch = Context._wire, self
        self._wire = wire

        def wire_and_watch(context: Context, sq: TTSQ, sync: TTSQSync, forward: TTSQForward) -> None:
            wire(context, sq, sync, forward)
            fire, prepared = sync.fire, context.prepared
            graph = prepared.graph.name
            fired = watch.firings.setdefault((graph, context.number, sq.name), [])

            def fire_and_tell(start: Any, stop: Any, values: tuple[Any, ...], now: int) -> None:
                generation = prepared.generations.get(sq.name, 0)
                fired.append(Firing(watch.run.world.now, prepared.here, generation, start))
                fire(start, stop, values, now)

            sync.fire = fire_and_tell

        Context._wire = wire_and_watch  # type: ignore[method-assign]
        self._publish, self._receive = publish, receive = Passing.publish, ContextArcs.receive
        self._take, self._count = take, count = Passing.take, Passing._count

        def publish_and_count(passing: Passing, arc: str, ensembles: Any, *token: Any) -> None:
            graph, sq = passing.context.prepared.graph.name, arc.rpartition("/")[0]
            for to in {*ensembles, *passing._tokens.coming_to(graph, sq)}:
                watch.sent[Way(title_of(graph), sq, to)] += 1
            publish(passing, arc, ensembles, *token)

        def receive_and_count(arcs: ContextArcs, arc: str, number: int) -> None:
            context, prepared = arcs.context, arcs.context.prepared
            to = {sync.sq.name for sync, _ in context.incoming.get(arc, ())}
            if not to or to & context.syncs.keys():  # else they were handed over before, and the token is lost
                watch.took[Way(title_of(prepared.graph.name), arc.rpartition("/")[0], prepared.here)] += 1
            receive(arcs, arc, number)

        def take_and_note(passing: Passing, incoming: Incoming, parcel: Parcel) -> None:
            watch._takes = parcel[1]
            take(passing, incoming, parcel)

        def count_and_compare(passing: Passing, incoming: Incoming, *counted: Any) -> None:
            prepared = passing.context.prepared
            way = Way(title_of(prepared.graph.name), incoming.sq, prepared.here)
            newest = prepared.generations.get(incoming.sq, 0)
            if watch._takes < newest:
                watch._older.append(f"{way}: of generation {watch._takes}, though {newest} is known")
            count(passing, incoming, *counted)

        Passing.take, Passing._count = take_and_note, count_and_compare  # type: ignore[method-assign,assignment]
        Passing.publish = publish_and_count  # type: ignore[method-assign]
        ContextArcs.receive = receive_and_count  # type: ignore[method-assign]
        self._prepare, self._discard = prepare, discard = Deploy.prepare, Deploy.discard

        def prepare_and_note(deploy: Deploy, state: GraphState, *later: Any) -> None:
            watch.run.programs[state.name] = state.graph
            prepare(deploy, state, *later)

        def discard_and_note(deploy: Deploy, state: GraphState) -> Any:
            if any(state.generations.values()):
                watch._renewed.add(state.title)
            return discard(deploy, state)

        Deploy.prepare, Deploy.discard = prepare_and_note, discard_and_note  # type: ignore[method-assign]
        self._hold = suspend = EnsembleHost.hold

        def suspend_and_note(host: EnsembleHost) -> list[str]:
            watch._note_rest(host.name)
            return suspend(host)

        EnsembleHost.hold = suspend_and_note  # type: ignore[method-assign]

    def __exit__(self, *error: object) -> None:
        Context._wire = self._wire  # type: ignore[method-assign]
        Passing.publish, ContextArcs.receive = self._publish, self._receive  # type: ignore[method-assign]
        Passing.take, Passing._count = self._take, self._count  # type: ignore[method-assign]
        Deploy.prepare, Deploy.discard = self._prepare, self._discard  # type: ignore[method-assign]
        EnsembleHost.hold = self._hold  # type: ignore[method-assign]

    def _note_rest(self, name: str) -> None:
        """An ensemble's lease has ended. That is a loss, and where nothing else was lost it needs a cause.

        It may be too far away. Or the next manager died, too, before it had answered: there is time for one question.
        """
        run = self.run
        unanswered = run.world.now - self._unanswered.get(name, -Times().lease) < Times().lease
        takes = Counter[tuple[str, ...]]()
        for command in run.plan.commands:
            if command.kind in ("slow", "late") and {*command.who} == {name, MANAGER}:
                for way in (command.who, command.who[::-1])[: 2 if command.kind == "slow" else 1]:
                    takes[way] = max(takes[way], command.much)
        if unanswered or takes.total() > (FOUND if run.restarts else HEARD):
            run.lossy = True
        if not run.lossy and name not in run.revoked:
            self._rests.append(f"{name} at {run.world.now / S} s")

    def forget(self) -> None:
        """The manager has died: it has told nobody of what is not on its disk, and answers no question."""
        self._generations.clear()
        for name, ensemble in self.run.world.ensembles.items():
            member = ensemble.member
            if member._asked_at > max(member._heard_at, member._joined_at) and not member._nobody:
                self._unanswered[name] = self.run.world.now

    # While it runs.

    def during(self) -> None:
        hold("without losses no lease ends", not self._rests, ", ".join(self._rests))
        if not self.run.world.manager_host.alive:
            return
        state = self.run.world.state
        for name, graph in state.graphs.items():
            for sq in graph.host_of:
                generation = graph.generations.get(sq, 0)
                before = self._generations.get((name, sq), 0)
                hold("generations grow", generation >= before, f"{sq} of {name}: {before}, then {generation}")
                self._generations[name, sq] = generation
            for sq in graph.host_of.values() if graph.state == "running" else ():
                known = sq == "" or sq == MANAGER or sq in state.ensembles
                hold("hosts are known", known, f"{name}: {graph.host_of} beside {list(state.ensembles)}")
        running = Counter(graph.title for graph in state.running())
        hold("one version goes on", all(count == 1 for count in running.values()), f"{list(state.graphs)}")
        self._once()
        hold("tokens of an older generation are dropped", not self._older, "; ".join(self._older[:1]))

    def _once(self) -> None:
        """No SQ fires twice for a token in a generation, nor on a host whose SQ was placed elsewhere since.

        Each firing is looked at once: of those that an SQ was sent by then.
        """
        for key, fired in self.firings.items():
            looked = self._looked.get(key)
            if looked is None:
                looked = self._looked[key] = _Looked(self._sender_of(key))
            if looked.at == len(fired):
                continue
            sent, newest = self._sent_by(looked.sender), looked.newest
            for firing in fired[looked.at :]:
                if firing.generation < newest.generation and firing.ensemble not in self.run.revoked:
                    # A revoked one has no say, whatever it does.
                    raise BrokenError("an SQ runs on one ensemble", f"{key}: {firing} after {newest}")
                if firing.generation > newest.generation:
                    newest = firing
                taken = (firing.generation, firing.start)
                looked.seen[taken] += 1
                if looked.seen[taken] > sent.get(firing.start, 1):
                    raise BrokenError("a token is taken once", f"{key}: {firing}, of {sent.get(firing.start)}")
            looked.at, looked.newest = len(fired), newest

    def _sender_of(self, key: Key) -> Key | None:
        graph, context, sq = key
        for each in self.run.programs[graph].sqs:
            if any(to.sq == sq for arc in each.arcs for to in arc.to):
                return (graph, context, each.name)
        return None

    def _sent_by(self, sender: Key | None) -> Counter[Any]:
        """By the start of its interval, the tokens that an SQ has sent, in all its generations."""
        if sender is None:
            return Counter()
        sent, fired = self._starts.setdefault(sender, Counter()), self.firings.get(sender, [])
        sent.update(firing.start for firing in fired[sent.total() :])
        return sent

    # At rest: all faults are mended, and some seconds have passed.

    def at_rest(self) -> None:
        run = self.run
        world, state = run.world, run.world.state
        for name, ensemble in world.ensembles.items():
            if run.alive(name) is not None and name not in run.revoked:
                hold("the living are known", name in state.ensembles, f"{name}: {ensemble.refused}")
                hold("the living are known", not ensemble.member.out, f"{name} does not take part")
                left = set(ensemble.node.host.prepared) - set(state.graphs)
                hold("a stopped graph leaves nothing", not left, f"{name}: {left}")
        for name in run.revoked:
            hold("the revoked are out", name not in state.ensembles, name)
        lost = [name for name in state.lost if run.alive(name)]  # another one may have ended while no manager heard it
        replaced = [f"{title} ({each.stage})" for title, each in state.replacements.items()]
        under_way = [*state.draining, *lost, *replaced]
        hold("nothing is under way", not under_way, ", ".join(under_way))
        found = [(graph.title, graph.name) for graph in state.graphs.values()]
        hold("one version goes on", len({title for title, _ in found}) == len(found), f"{found}")
        now = world.node.clock.now()
        seen = Counter((token.graph, token.context, token.sq, token.start) for token in self._logged())
        for name, graph in state.graphs.items():
            self._at_rest(name, graph, now)
        self._all_logged(seen)
        for at, kind, reply in run.requests:
            hold("every request is answered", reply.done(), f"{kind} of {at / S}s")
        self._once()
        if not run.lossy and not any(command.kind == "set" for command in run.plan.commands):
            self._all_taken()  # a longer interval may begin before one that was taken, and is dropped then

    def _all_taken(self) -> None:
        """Without losses each token of a graph that goes on is taken by each SQ that it was sent to."""
        titles = self.run.world.state.titles
        for (graph, context, sq), fired in self.firings.items():
            if title_of(graph) in titles:
                found = next(each for each in self.run.programs[graph].sqs if each.name == sq)
                sent = Counter(firing.start for firing in fired if firing.now < self.run.world.now - FLOWS)
                for to in (to.sq for arc in found.arcs for to in arc.to):
                    took = Counter(firing.start for firing in self.firings.get((graph, context, to), ()))
                    for start, count in sent.items():
                        what = f"{to} of {graph}: {took[start]} of {count} from {sq} at {start}"
                        hold("without losses all is taken", took[start] == count, what)

    def _all_logged(self, seen: Counter[tuple[Any, ...]]) -> None:
        """What an ensemble has put out is in the log, as long as it lives: it keeps it until it is taken."""
        first = Versions(self.run.world.took_over).first
        live = {first(context.number) for graph in self.run.world.state.graphs.values() for context in graph.live}
        for (graph, context, sq), fired in self.firings.items():
            if first(context) in live and self._gives(graph, sq):
                for firing in fired:
                    if firing.now < self.run.world.now - FLOWS and self.run.stays(firing.ensemble):
                        came = seen[title_of(graph), context, sq, firing.start] > 0
                        hold("ensembles keep outputs until they are taken", came, f"{sq} of {graph}: {firing}")

    def _at_rest(self, name: str, graph: Any, now: int) -> None:
        run, state = self.run, self.run.world.state
        under_way = (graph.move, graph.preparing, graph.arriving, graph.handed, graph.waits_for)
        hold("nothing is under way", not any(under_way), f"{name}: {under_way}")
        hosts = {MANAGER: run.world.node, **{e.name: e.node for e in run.world.ensembles.values() if run.alive(e.name)}}
        for sq in graph.graph.sqs:
            allowed = set(sq.constraints[0].names) if sq.constraints else {MANAGER}
            fits = allowed & ({*state.ensembles, MANAGER})
            host = graph.host_of[sq.name]
            hold("what can be placed is", bool(host) or not fits, f"{sq.name} of {name} may be on {fits}")
            for context in graph.live:
                key = (name, context.number)
                homes = [
                    each
                    for each, node in hosts.items()
                    if key in node.host.contexts and sq.name in node.host.contexts[key].syncs
                    if each not in run.revoked  # it has no say, and may have been cut off before it was told why
                ]
                wanted = [host] if host else []
                hold("an SQ is where it was placed", homes == wanted, f"{sq.name} of {name}: {homes}, not {wanted}")
                for home in homes:
                    held = hosts[home].host.contexts[key].held
                    hold("nothing is held", sq.name not in held, f"{sq.name} of {name} on {home}")
        everywhere = all(graph.host_of.values())
        for context in graph.live:
            hold(
                "a graph ends when its streams do",
                context.until is None or context.until > now - 3 * S or not everywhere,
                f"{name}, context {context.number}, until {context.until}, now {now}",
            )
            if context.until is None and everywhere:
                for sq_name in [sq.name for sq in graph.graph.sqs if self._gives(name, sq.name)]:
                    last = max(
                        (
                            token.arrival
                            for token in self._logged()
                            if token.context == context.number and token.sq == sq_name
                        ),
                        default=0,
                    )
                    flows = last > now - FLOWS
                    hold("outputs flow again", flows, f"{sq_name} of {name}: the last {(now - last) / S} s ago")

    # At the end.

    def at_end(self) -> None:
        run = self.run
        for at, kind, reply in run.requests:
            hold("every request is answered", reply.done(), f"{kind} of {at / S}s")
            error = reply.exception()
            hold("errors are the user's", error is None or isinstance(error, TTError), f"{kind}: {error!r}")
        for name, ensemble in run.world.ensembles.items():
            if run.alive(name) is not None and name not in run.revoked:
                left = list(ensemble.node.host.prepared)
                hold("a stopped graph leaves nothing", not left, f"{name}: {left}")
        self._outputs_once()
        self._counters_add_up()
        versions = Versions(run.world.took_over)
        told = [event for _, event in run.world.told if isinstance(event, Gone | NotBack)]
        versions.one_at_a_time(self.firings, run.revoked, {event.name for event in told})
        if not run.lossy:
            kinds = {command.kind for command in run.plan.commands}
            all_instants = kinds.isdisjoint(("set", "drain"))
            # A longer interval may begin before one that was taken, and is dropped then.
            versions.values(self.firings, run.programs, self._logged(), all_instants, "set" not in kinds)

    def _counters_add_up(self) -> None:
        """Tokens that count as lost of an SQ at an ensemble were sent there and never came.

        Losses of a receiver that moves are counted at its new host: then the sums over all ensembles add up.
        """
        run = self.run
        moves = any(command.kind == "drain" for command in run.plan.commands)
        for graph, losses, ways, renewed in run.losses:
            lost = {Way(graph, sq, to): count for to, by_sq in losses.items() for sq, count in by_sq.items()}
            more: Counter[str] = Counter()  # by SQ, how much more counts as lost than is missing
            for way in {*lost, *self.sent}:
                if way.graph == graph and way.sq in self._sqs(graph):
                    missing = self.sent[way] - self.took[way]
                    text = f"{way}: {self.sent[way]} sent, {self.took[way]} came, {lost.get(way, 0)} lost"
                    if way.to not in run.revoked:  # tokens that it took and did not report are lost with it
                        more[way.sq] += lost.get(way, 0) - missing
                    if way in ways:
                        hold("counters add up", missing == lost.get(way, 0), text)
                    if not renewed and not moves and way.to not in run.revoked:  # of one placed anew that is lost, too
                        hold("counters add up", lost.get(way, 0) <= missing, text)
                    if not run.lossy and not run.restarts:
                        hold("without losses none counts", not lost.get(way), text)
            for sq, count in more.items() if not (renewed or (moves and run.restarts)) else ():
                hold("counters add up", count <= 0, f"of {sq} of {graph} {count} more count as lost than are missing")

    def _sqs(self, graph: str) -> set[str]:
        """The SQs of a graph, in all of its versions."""
        return {sq.name for name, of in self.run.programs.items() if title_of(name) == graph for sq in of.sqs}

    def renewed(self, title: str) -> bool:
        """True if SQs of a graph were placed anew."""
        graph = self.run.world.state.graph(title)
        return title in self._renewed or any(graph.generations.values())

    def settled_ways(self, name: str) -> set[Way]:
        """The ways of a graph on which nothing has moved, nor another version has sent anything."""
        run, graph = self.run, self.run.world.state.graph(name)
        drained = any(command.kind == "drain" for command in run.plan.commands)
        if graph.state != "running" or drained or (run.lossy and run.world.took_over):
            return set()  # what a lost ensemble has sent in a version that has ended, it tells nobody
        stays = {sq for sq, host in graph.host_of.items() if run.stays(host) and not graph.generations.get(sq)}
        return {
            Way(name, sq.name, graph.host_of[to.sq])
            for sq in graph.graph.sqs
            for arc in sq.arcs
            for to in arc.to
            if sq.name in stays and all(each.sq in stays for arc in sq.arcs for each in arc.to)
        }

    def _logged(self) -> list[Logged]:
        """The lines of the log of outputs."""
        lines = self.run.world.disk.lines
        self._lines += map(_logged.decode, lines[len(self._lines) :])
        return self._lines

    def _outputs_once(self) -> None:
        seen: Counter[tuple[Any, ...]] = Counter()
        for token in self._logged():
            seen[token.graph, token.context, token.sq, token.start] += 1
        fired = {(title_of(graph), context, sq): of for (graph, context, sq), of in self.firings.items()}
        for key, count in seen.items():
            graph, context, sq, start = key
            found = [firing for firing in fired.get((graph, context, sq), ()) if firing.start == start]
            hold("an output comes once", count <= len(found), f"{key}: {count} times, of {found}")
        if not self.run.lossy:
            for (graph, context, sq), of in self.firings.items():
                if self._gives(graph, sq):
                    for firing in of:
                        count = seen[title_of(graph), context, sq, firing.start]
                        hold("without losses all comes", count == 1, f"{sq} of {graph} {firing}: {count} times")

    def _gives(self, graph: str, sq: str) -> bool:
        """True if an SQ gives outputs of its graph."""
        found = next(each for each in self.run.programs[graph].sqs if each.name == sq)
        return not any(arc.to for arc in found.arcs) and found.function != "fails"
