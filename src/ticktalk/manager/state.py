"""All that the manager knows, as one tree of plain structs.

Only code of `ticktalk.manager` writes it. It can be encoded at any time, as by `msgspec.msgpack.encode(state)`, and
decoding gives an equal one. Futures, callbacks and events of threads cannot: their owners keep them beside the state.
Ticks are those of the root clock (microseconds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ticktalk.counters import Counts
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.completion import Completion
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.weights import Weights
from ticktalk.payloads import FiringError, InstanceState, SetGrid
from ticktalk.replacement import Changes, Switch
from ticktalk.source_problems import no_such

ENDED_KEPT = 100
"""Starts of a graph that have ended and of which everything is known; of older ones there are sums."""

FORMER_HOSTS = 100
"""Ensembles that an SQ has left and from which its outputs are still taken."""

Profile = dict[str, tuple[list[int], list[int]]]
"""Function to some of its runs' times (microseconds) and its tokens' sizes (bytes)."""


class EnsembleState(msgspec.Struct):
    """An ensemble that has joined.

    Attributes:
        info: its facts, as it told them when it joined.
        heard: the tick at which the manager heard of it last.
        offset, uncertainty: how far its clock is off, as it says itself (microseconds).
        refused: by kind, how much came there and was not taken.
        late: how late its host lets it send heartbeats of late, as it says itself (microseconds).
    """

    info: EnsembleInfo
    heard: int = 0
    offset: int = 0
    uncertainty: int = 0
    refused: dict[str, int] = {}
    late: int = 0


class LostEnsemble(msgspec.Struct):
    """An ensemble that is not heard of, and may only be cut off.

    Attributes:
        info: its facts, as it told them when it joined.
        holds: the graphs that it holds, should it come back.
        stopped: the graphs that it is to forget: stopped since, or prepared there in vain.
        goes_on: by graph that was to be replaced and goes on: the order that it is sent when it comes back.
        keeps: by graph, the SQs with which it may go on without the manager: it was told that no other may host them.
        warned: the graphs of which it was told that such SQs could go on elsewhere.
        heard: the tick after which the manager has not heard it.
        holds_since: the tick since which it surely holds what others may host, or has ended; None: it may go on
            (`Votes`).
    """

    info: EnsembleInfo
    holds: set[str] = set()
    stopped: set[str] = set()
    goes_on: dict[str, Switch] = {}
    keeps: dict[str, list[str]] = {}
    warned: set[str] = set()
    heard: int = 0
    holds_since: int | None = None


class MoveState(msgspec.Struct):
    """A drain under way, for one graph.

    Attributes:
        source: the ensemble that is drained.
        to: SQ to the ensemble to which it goes; "" where that one died meanwhile.
        waits_for: the hosts that have not said yet that they know the receivers; then the receivers that are not ready.
        told: the number of its questions: an answer to those of a drain before bears another one.
        expected: the receivers were told which SQs will come.
        ordered: the source was told to hand over.
        handed: it has done so.
        sent: by context and arc, the number of the last token that the receivers do not keep.
        states: by context, the states of the SQs that were handed over so far.
    """

    source: str
    to: dict[str, str]
    waits_for: set[str]
    told: int = 0
    expected: bool = False
    ordered: bool = False
    handed: bool = False
    sent: dict[int, dict[str, int]] = {}
    states: dict[int, dict[str, InstanceState]] = {}


class ContextState(msgspec.Struct):
    """One start of a graph.

    Attributes:
        number: counts the starts of all graphs.
        start_tick: when it starts.
        inputs: by input, the value as MessagePack, until it ends. Values without codec, which only simulations take,
            are left out.
        until: the tick from which on no stream fires; None: as long as their windows last.
        checkpoint: ticks between two checkpoints of its instances; 0: none.
        completion: the reports of its ensembles, and whether it is done.
        outputs: by ensemble, the outputs that have reached the manager.
        told: how often its ensembles had been told where its SQs are when they were asked last.
        ended: it is done, or its graph was stopped: it is resumed nowhere any more.
        profiles: by ensemble, the costs of bodies there; None: asked, and not answered yet.
        checkpoints: by SQ, the state with which its instance can go on elsewhere.
        runs_long: the ensembles of which it was told that a firing runs for long.
    """

    number: int
    start_tick: int
    inputs: dict[str, bytes]
    until: int | None
    checkpoint: int
    completion: Completion
    outputs: dict[str, int] = {}
    told: int = 0
    ended: bool = False
    profiles: dict[str, Profile | None] = {}
    checkpoints: dict[str, InstanceState] = {}
    runs_long: set[str] = set()

    @property
    def output_count(self) -> int:
        """The outputs that have reached the manager."""
        return sum(self.outputs.values())


class FormerContexts(msgspec.Struct):
    """The sums that are left of starts of a graph that ended long ago."""

    contexts: int = 0
    outputs: int = 0
    losses: Counts = {}
    counts: Counts = {}


class GraphState(msgspec.Struct):
    """One graph on this system.

    Attributes:
        graph: the program; its streams have the periods that were set since.
        host_of: SQ to ensemble; "" for one that waits for an ensemble that fits.
        hosts: the ensembles that hold the graph.
        waits_for: the ensembles that still prepare it for the first time.
        weights: the costs of its SQs, if they are known.
        state: "preparing", "ready", "refused" (some ensemble cannot prepare it), "running", or while it is replaced
            "waiting" (to take over) or "held" (it has been replaced, and may come back).
        problems: ensemble to why it cannot prepare the graph.
        generations: SQ to how often it has been placed anew.
        grids: stream to the period and phase that were set since.
        programmed: stream that was set to what its program says: period, per, phase.
        contexts: its starts, by number.
        former: the starts that ended before the latest `ENDED_KEPT` ones.
        told: how often its ensembles were told where its SQs are.
        alone: by ensemble, the SQs that no other may host, as it was told last.
        alone_before: the same as it was told before, by the number of the placement that took it back and to which it
            has not answered: it may not know of that.
        preparing: the ensembles that were sent the running graph and have not said that they are ready.
        left: the SQs that wait, and the ensemble that hosted each last.
        arriving: the SQs that are placed anew, and whose ensembles are not told yet.
        handed: by context, the states of SQs that were handed over, until their ensembles are told.
        refused: pairs of an SQ and an ensemble on which its code does not run.
        move: the drain that is under way.
        ends: it is being stopped: nothing of it fires any more, and its last tokens are waited for.
        version_of: what people call it; "": as its ensembles do. Two versions of a graph have two names there.
        warned: the warnings that were told: "SQ: value without codec", or "ensemble/SQ" of a clock.
        rows: the latest outputs as JSON lines.
        rows_length: their characters.
        changed_late: how often something of a start has changed that had ended, but for outputs that came.
        hosted_before: by SQ, the ensembles that it has left, the latest last.
        goes_on: the order by which it goes on after it was held for a replacement, as long as some of its ensembles may
            not have heard it. Should the manager die, the next one sends it again.
    """

    graph: TTGraph
    host_of: dict[str, str]
    hosts: list[str]
    waits_for: set[str]
    weights: Weights | None = None
    state: str = "preparing"
    problems: dict[str, str] = {}
    generations: dict[str, int] = {}
    grids: dict[str, SetGrid] = {}
    programmed: dict[str, tuple[int, int, int]] = {}
    contexts: dict[int, ContextState] = {}
    former: FormerContexts = msgspec.field(default_factory=FormerContexts)
    told: int = 0
    alone: dict[str, list[str]] = {}
    alone_before: dict[str, dict[int, list[str]]] = {}
    preparing: set[str] = set()
    left: dict[str, str] = {}
    arriving: set[str] = set()
    handed: dict[int, dict[str, InstanceState]] = {}
    refused: set[tuple[str, str]] = set()
    move: MoveState | None = None
    warned: set[str] = set()
    rows: list[str] = []
    rows_length: int = 0
    version_of: str = ""
    ends: bool = False
    changed_late: int = 0
    hosted_before: dict[str, list[str]] = {}
    goes_on: Switch | None = None

    def go(self, to: Mapping[str, str]) -> None:
        """Move SQs to other ensembles ("": to none). Outputs and errors from the former ones may still be under way."""
        for sq, host in to.items():
            before = self.hosted_before.setdefault(sq, [])
            before[:] = [*(former for former in before if former != self.host_of[sq]), self.host_of[sq]][-FORMER_HOSTS:]
            self.host_of[sq] = host

    def sqs_on(self, ensemble: str) -> list[str]:
        """The SQs that an ensemble hosts."""
        return [sq for sq, host in self.host_of.items() if host == ensemble]

    def is_of(self, sq: str, ensemble: str) -> bool:
        """True if an ensemble hosts an SQ or has hosted it: then its outputs and errors of that SQ are taken."""
        return self.host_of.get(sq) == ensemble or ensemble in self.hosted_before.get(sq, ())

    @property
    def name(self) -> str:
        """The graph's name, as its ensembles know it."""
        return self.graph.name

    @property
    def title(self) -> str:
        """The graph's name, as people know it."""
        return self.version_of or self.graph.name

    def place_anew(self, hosts: Mapping[str, str]) -> None:
        """SQs whose ensemble was lost get these hosts; they go on there from their checkpoints."""
        self.host_of.update(hosts)
        for sq, host in hosts.items():
            left = self.left.pop(sq, "")
            for context in self.live:
                if sq in context.checkpoints:
                    context.completion.taken_over(left, host, context.checkpoints[sq])

    @property
    def live(self) -> list[ContextState]:
        """The starts that have not ended, in order."""
        return [context for context in self.contexts.values() if not context.ended]


class ReplaceState(msgspec.Struct):
    """The replacement of a graph by another version, under way.

    Attributes:
        old, new: the names of both versions, as ensembles know them.
        changes: the differences, and the tick of the switch.
        drop: SQs that begin without their former state.
        watch: ticks for which the new version is watched.
        stage: "prepare", "expect", "drain", "hold", "hand", "try", "place", "watch", or "back" (to the old one).
        limit: the tick by which the graph that ends has come to rest; (watch) until which the new one is watched.
        waits_for: the ensembles that have still to answer.
        round: the number of the last question.
        again, pause: it was asked twice without a pause; ticks until it is asked again.
        rounds: by context, the answers of the version that ends.
        sent: by context and arc, the number of the last token of the old one.
        contexts: context of the old version to that of the new one.
        states: by context of the old version, the states of its SQs at the switch.
        fired: by stream of the version that comes to rest, its last instant.
        why: why the old one is to go on; empty: it is not.
        before: (watch) the outputs of the old version in as many ticks as the new one is watched, on average.
        erred: (watch) the SQs of the old version that have raised errors.
    """

    old: str
    new: str
    changes: Changes
    drop: list[str] = []
    watch: int = 0
    stage: str = "prepare"
    limit: int = 0
    waits_for: set[str] = set()
    round: int = 0
    again: bool = False
    pause: int = 0
    rounds: dict[int, Completion] = {}
    sent: dict[int, dict[str, int]] = {}
    contexts: dict[int, int] = {}
    states: dict[int, dict[str, InstanceState]] = {}
    fired: dict[str, int] = {}
    why: str = ""
    before: float = 0
    erred: set[str] = set()


def no_graph(title: object, titles: Iterable[str]) -> str:
    """The message for a name of no graph; `titles`: those that are here."""
    return no_such(f"there is no graph named {title!r} here", title, "graphs", titles)


class ManagerState(msgspec.Struct):
    """The whole of it.

    Attributes:
        manager: the facts of the manager's own ensemble, which hosts last.
        ensembles: the others, in the order of joining.
        lost: the ensembles that are gone and may come back.
        graphs: by name.
        versions: by what people call a graph that was replaced, the name of the version that counts.
        versions_made: how many new versions there were, of all graphs.
        replacements: by what people call the graph, those under way.
        starts: how many there were, of all graphs.
        draining: the ensembles that are being drained.
        dismissed: those that were, and have still to leave.
        errors: how many firings raised.
        latest_errors: the latest of them.
        errors_length: the characters of their texts.
        deaths: by ensemble, how many of its worker processes ended by themselves, and how the latest did.
        restarts: how often a manager has gone on with this state.
        restarted: the tick at which it did last.
        awaited: the ensembles that have not come back since then.
        voters: by number, the lists of voters that some ensemble may have; the last one is the present one.
        expelled: those of them that had to go, and may not have heard of it.
        left: those of them that have left, and at which tick.
        taken: by ensemble, the number of its last output that was taken.
        log_size: bytes of the log of outputs when this was written: lines behind are of outputs taken since.
        logged: by ensemble, marks of outputs that were in the log already when a manager went on with this state; they
            come once more.
        ended: the graphs that were ended last: a manager that dies may not have told all ensembles of them.
        root_offset: root ticks minus monotonic microseconds of the manager's host, as long as that runs.
    """

    manager: EnsembleInfo
    ensembles: dict[str, EnsembleState] = {}
    lost: dict[str, LostEnsemble] = {}
    graphs: dict[str, GraphState] = {}
    starts: int = 0
    draining: list[str] = []
    errors: int = 0
    latest_errors: list[FiringError] = []
    errors_length: int = 0
    deaths: dict[str, tuple[int, str]] = {}
    restarts: int = 0
    restarted: int = 0
    awaited: list[str] = []
    voters: dict[int, list[str]] = {}
    expelled: list[str] = []
    taken: dict[str, int] = {}
    log_size: int = 0
    root_offset: int = 0
    versions: dict[str, str] = {}
    versions_made: int = 0
    replacements: dict[str, ReplaceState] = {}
    logged: dict[str, list[bytes]] = {}
    ended: list[str] = []
    left: dict[str, int] = {}
    dismissed: list[str] = []

    @property
    def titles(self) -> list[str]:
        """The names of the graphs, as people know them."""
        graphs = list(self.graphs.values())  # at once: the console asks while the manager works
        return list(dict.fromkeys(graph.title for graph in graphs))

    def replacement_of(self, graph: str) -> ReplaceState | None:
        """The replacement in which a graph takes part, by the name that ensembles know."""
        found = self.replacements.values()
        return next((each for each in found if graph in (each.old, each.new)), None)

    def graph(self, title: str) -> GraphState | None:
        """The graph that people call so, in the version that counts."""
        return self.graphs.get(self.versions.get(title, title))

    def infos(self) -> list[EnsembleInfo]:
        """Every ensemble in the order in which mapping tries them: as they joined, the manager's own last."""
        return [*(ensemble.info for ensemble in self.ensembles.values()), self.manager]

    def running(self) -> list[GraphState]:
        """The graphs that all their ensembles have prepared."""
        return [graph for graph in self.graphs.values() if graph.state in ("ready", "running")]

    @property
    def may_go_on(self) -> list[str]:
        """The ensembles that are heard, and the lost ones that may go on (`Votes`)."""
        return [*self.ensembles, *(name for name, lost in self.lost.items() if lost.holds_since is None)]

    def to_forget(self, name: str, lost: LostEnsemble) -> set[str]:
        """The graphs that a lost ensemble is to forget when it comes back.

        Versions are among them of which all that it had went elsewhere before they were held.
        """
        held = [graph for graph in self.graphs.values() if graph.state == "held" and name not in graph.hosts]
        return lost.stopped | {graph.name for graph in held if graph.name in lost.holds}

    def undecided(self, graph: GraphState) -> set[str]:
        """The SQs of a graph that wait, and with which ensembles may go on that are not heard (`Votes`)."""
        lost = self.lost
        return {sq for sq, host in graph.left.items() if host in lost and lost[host].holds_since is None}
