"""The way from "decided" to "body runs": the stages that each firing of an SQ passes, a list that is built once.

A firing rule decides on a set (`engine/firing`). The firing then passes those of these stages that its SQ has:

* "tap": the tap is told of it;
* "tag": its tag is sent, where an SQ consumes it;
* "single run": it is dropped while another is in flight;
* "numbers here": an instruction on plain numbers is carried out at once by the timekeeper; on anything else it goes on;
* "worker": its body runs in a worker of the device, and no further stage follows here; or else
* "own copies": it gets copies of the values that stay at its ports, for a body may change what it is given;
* "cores": it waits for a core of the simulated ensemble, and takes its time;
* "drivers": the environment is brought to its tick, for the drivers that its body may use;
* "meter": its body is measured;
* "watch": the tap is told how it went (for "cores" and "worker" these tell it themselves);
* "in place": the body runs.

`ticktalk draw --show-code` prints the list of each SQ. Where it is only "in place", nothing lies between the firing
rule and `TTSQExecute.fire`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

from ticktalk.counters import Counters
from ticktalk.defaults import EVICTION_BOUND
from ticktalk.engine.acceleration import Accelerator, ContextParts
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.firing.base import Fire, Leave, Send, fires_full_tokens, takes_full_tokens
from ticktalk.engine.firing.single_run import SingleRun
from ticktalk.engine.forwarding import Output, Publish, PublishTogether, TTSQForward
from ticktalk.engine.tap import Tap
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import INSTRUCTIONS, KEEPING, OPENING, PASSING
from ticktalk.payloads import FiringError
from ticktalk.records import Outcome
from ticktalk.time import Tick
from ticktalk.values.codec import PLAIN, as_number, handed_on

Report = Callable[[FiringError], None]
"""Takes the error of a firing."""

TellFailure = Callable[[Tick, Tick, BaseException], None]
"""`(start, stop, error)`: takes the exception of a firing on that interval."""


class Elsewhere(NamedTuple):
    """The SQ and its sinks, as a stage needs them that runs a body later, or away from here.

    Attributes:
        sq: the SQ.
        paths: the parts of its result that are wanted, and whether each is an output; `unpack`: of which shape it is.
        all_paths: just the paths.
        send: takes the result, which may be `Parts`, and its interval.
        report: takes the error of a firing.
        failed: takes the exception of a firing, and its interval.
        tally: takes a kind of counter to be counted at this SQ.
        done: called after each firing, however it ended.
        away: told of so many firings that run away though `Fire` was not called for them: `done` follows for each.
        fired: tells the tap: `(start, stop, began, ended, outcome)`; None: there is none.
    """

    sq: TTSQ
    paths: list[tuple[tuple[int, ...], bool]]
    unpack: list[Any] | None
    all_paths: tuple[tuple[int, ...], ...]
    send: Send
    report: Report
    failed: TellFailure
    tally: Callable[[str], None]
    done: Callable[[], None]
    away: Callable[[int], None]
    fired: Callable[[Tick, Tick, int, int, Outcome], None] | None


class Stage(Protocol):
    """A stage around a body: it takes the firings, calls `body` for each, and gets its results and errors."""

    body: Fire

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Let a firing pass."""

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        """Take a result of the body."""

    def report(self, error: FiringError) -> None:
        """Take an error of the body."""


MakeStage = Callable[[ContextParts, Elsewhere], Stage | None]
"""Makes a stage around an SQ's body; None: this SQ has none of it."""

RunElsewhere = Callable[[Any, Elsewhere], Fire]
"""`(context, elsewhere)`: makes the function that fires a body in a worker, for drivers with workers."""


class Surroundings(NamedTuple):
    """The surroundings of a context: its sinks, and the way its bodies run.

    Attributes:
        publish: sends tokens to other ensembles; `publish_together`: those of several arcs to the same ones.
        output: takes outputs.
        report: takes errors of firings.
        run_elsewhere: runs bodies in workers; None: they run in place.
        stages: by name, the makers of the stages before a body that runs in place, first to last.
        tap: told of all that happens; None: nobody is.
        accelerator: runs settled parts faster; None: the general engine runs everything.
        movable: SQs may come here and leave while the context runs.
        eviction_bound: see `EVICTION_BOUND`.
    """

    publish: Publish
    output: Output
    report: Report
    publish_together: PublishTogether | None = None
    run_elsewhere: RunElsewhere | None = None
    stages: Mapping[str, MakeStage] = {}
    tap: Tap | None = None
    accelerator: Accelerator | None = None
    movable: bool = False
    eviction_bound: int = EVICTION_BOUND


class FiringChain(NamedTuple):
    """The stages of one SQ in one context, first to last; the first one's `fire`; its body, if that runs in place."""

    stages: tuple[str, ...]
    fire: Fire
    execute: TTSQExecute | None


def firing_chain(
    sq: TTSQ,
    forward: TTSQForward,
    context: ContextParts,
    around: Surroundings,
    counters: Counters,
    report: Report,
    failed: Callable[[str, Tick, Tick, BaseException], None],
    body: Callable[[TTSQ, Send, Report], TTSQExecute],
    leave: Leave | None,
) -> FiringChain:
    """Build the stages of an SQ.

    Args:
        sq: the SQ.
        forward: where its results go.
        context: its context.
        around: how bodies run there.
        counters: where its drops are counted.
        report: takes an error of a firing; `failed`: an exception of one, after the name of its SQ.
        body: makes its body, which sends and reports as it is told.
        leave: takes its inputs that are dropped; None: nobody does.
    """
    single = SingleRun(sq, counters, forward.send, leave) if sq.single_run is not None else None
    send, done = (single.send, single.done) if single else (forward.send, _nothing)
    stages: tuple[str, ...] = _ONLY_THE_BODY
    execute = None

    def own() -> Elsewhere:
        fired = None if around.tap is None else partial(around.tap.fired, sq.name)
        paths = forward.paths, forward.unpack, forward.all_paths
        tally = partial(counters.add, sq.name)
        return Elsewhere(sq, *paths, send, report, partial(failed, sq.name), tally, done, _nothing, fired)

    if around.run_elsewhere is not None and runs_elsewhere(sq):
        stages, fire = _elsewhere(own(), context, around.run_elsewhere, body)
    else:
        if not around.stages and around.tap is None:
            execute = body(sq, send, report)
            fire = execute.fire
        else:
            stages, fire, execute = _in_place(own(), context, around.stages, body)
        if single and "cores" not in stages:
            fire = _then(fire, done)
        stay = [sq.trigger == "grid" or port.sticky for port in sq.ports if port.constant is None]
        if any(stay):
            stages, fire = ("own copies", *stages), _with_own_copies(fire, stay, takes_full_tokens(sq))
    if single:
        stages = ("single run", *stages)
        single.fire_body, fire = fire, single.fire
    if forward.tags and sq.trigger in ("arrival", "grid"):
        stages = ("tag", *stages)
        fire = tagged(fire, forward.tag, sq.trigger == "grid")
    if around.tap is not None:
        stages = ("tap", *stages)
        fire = around.tap.deciding(sq, fire, fires_full_tokens(sq))
    return FiringChain(stages, fire, execute)


_ONLY_THE_BODY = ("in place",)


def _elsewhere(
    own: Elsewhere, context: ContextParts, run: RunElsewhere, body: Callable[[TTSQ, Send, Report], TTSQExecute]
) -> tuple[tuple[str, ...], Fire]:
    """The stages of a body that runs in a worker, and the `fire` of the first of them."""
    if own.sq.body or own.unpack is not None or not _is_quick(own.sq):
        return ("worker",), run(context, own)
    numbers = NumbersHere(own.sq)
    _, numbers.here, _ = _in_place(own, context, {}, body)
    numbers.away = run(context, own._replace(done=numbers.done, away=numbers.more))
    return ("numbers here", "worker"), numbers.fire


def _in_place(
    own: Elsewhere,
    context: ContextParts,
    makers: Mapping[str, MakeStage],
    body: Callable[[TTSQ, Send, Report], TTSQExecute],
) -> tuple[tuple[str, ...], Fire, TTSQExecute]:
    """The stages around a body that runs in place, and the `fire` of the first of them."""
    names, stages = [], []
    for name, make in {**makers, "watch": _watch}.items():
        stage = make(context, own)
        if stage is not None:
            names.append(name)
            stages.append(stage)
            own = own._replace(send=stage.send, report=stage.report, fired=None if name == "cores" else own.fired)
    execute = body(own.sq, own.send, own.report)
    fire: Fire = execute.fire
    for stage in reversed(stages):
        stage.body, fire = fire, stage.fire
    return (*names, *_ONLY_THE_BODY), fire, execute


def runs_elsewhere(sq: TTSQ) -> bool:
    """True if an SQ looks at values, as bodies and most instructions do, or unpacks one that it passes on.

    It may run outside the timekeeper: only there the program's classes are known, and nobody waits for it.
    """
    return sq.body or sq.function in OPENING or (sq.unpack is not None and sq.function in PASSING)


def keeps_state(sq: TTSQ) -> bool:
    """True if an SQ keeps state from firing to firing."""
    return sq.stateful or (not sq.body and sq.function in KEEPING)


def _is_quick(sq: TTSQ) -> bool:
    """True if an instruction takes no time on small numbers; with a constant that is none, it may: `"ab" * n`."""
    row = INSTRUCTIONS[sq.function]
    constants = [port.constant[0] for port in sq.ports if port.constant and (row.sees is None or port.name in row.sees)]
    return not row.slow and _numbers(tuple(map(decode_constant, constants))) is not None


Opened = Callable[[tuple[Any, ...]], tuple[Any, ...] | None]
"""The inputs of a firing with the values opened that the instruction looks at; None: not all of these are numbers."""


def _numbers(values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    numbers = tuple([as_number(value) for value in values])
    return None if None in numbers else numbers


def _numbers_of_tokens(sees: list[bool]) -> Opened:
    def opened(tokens: tuple[Any, ...]) -> tuple[Any, ...] | None:
        numbers = _numbers(tuple([token[2] for token, seen in zip(tokens, sees, strict=True) if seen]))
        if numbers is None:
            return None
        rest = iter(numbers)
        return tuple([(*token[:2], next(rest)) if seen else token for token, seen in zip(tokens, sees, strict=True)])

    return opened


class NumbersHere:
    """An instruction on numbers is carried out by the timekeeper; on anything else it goes away, as a body would.

    A deadline is often computed so (`tag + n`), and must not wait for a busy worker.
    """

    __slots__ = ("_opened", "away", "here", "under_way")

    def __init__(self, sq: TTSQ) -> None:
        sees = INSTRUCTIONS[sq.function].sees
        seen = [sees is None or port.name in sees for port in sq.ports if port.constant is None]
        self._opened: Opened = _numbers_of_tokens(seen) if takes_full_tokens(sq) else _numbers
        self.away: Fire
        self.here: Fire
        self.under_way = 0

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Let a firing pass."""
        if not self.under_way:  # else this one would overtake
            opened = self._opened(values)
            if opened is not None:
                self.here(start, stop, opened, now)
                return
        self.under_way += 1
        self.away(start, stop, values, now)

    def more(self, firings: int) -> None:
        """So many firings more are under way in the worker."""
        self.under_way += firings

    def done(self) -> None:
        """A firing has ended in the worker."""
        self.under_way -= 1


class _Watched:
    """Tells the tap of each run of a body that takes no time."""

    __slots__ = ("_fired", "_report", "_send", "body", "outcome")

    def __init__(self, fired: Callable[[Tick, Tick, int, int, Outcome], None], send: Send, report: Report) -> None:
        self._fired, self._send, self._report = fired, send, report
        self.body: Fire
        self.outcome: Outcome = "nothing"

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        self.outcome = "nothing"
        self.body(start, stop, values, now)
        self._fired(start, stop, now, now, self.outcome)

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        self._send(value, start, stop)
        self.outcome = "sent"

    def report(self, error: FiringError) -> None:
        self.outcome = "failed"
        self._report(error)


def _watch(context: ContextParts, own: Elsewhere) -> _Watched | None:
    return None if own.fired is None else _Watched(own.fired, own.send, own.report)


def tagged(fire: Fire, tag: Callable[[int, Tick, Tick], None], of_grid: bool) -> Fire:
    """`fire`, preceded by the tag of the firing: its instant, or the tick at which its inputs matched."""

    def fire_with_tag(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        # An instant lies in the middle of its interval: start = instant - width // 2.
        tag(int(start + (stop - start) // 2) if of_grid else now, start, stop)
        fire(start, stop, values, now)

    return fire_with_tag


def _with_own_copies(fire: Fire, stay: list[bool], full: bool) -> Fire:
    """`fire`, with a copy of each value that stays and can be changed; `full`: values come with their intervals."""
    places = [place for place, stays in enumerate(stay) if stays]

    def fire_with_own_copies(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        for place in places:
            value = values[place][2] if full else values[place]
            if value.__class__ not in PLAIN:
                own = (*values[place][:2], handed_on(value)) if full else handed_on(value)
                values = (*values[:place], own, *values[place + 1 :])
        fire(start, stop, values, now)

    return fire_with_own_copies


def copying(send: Send) -> Send:
    """`send`, of a copy of a value that stays and can be changed."""

    def send_copy(value: Any, start: Tick, stop: Tick) -> None:
        send(value if value.__class__ in PLAIN else handed_on(value), start, stop)

    return send_copy


def _then(fire: Fire, done: Callable[[], None]) -> Fire:
    def fire_then_done(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        fire(start, stop, values, now)
        done()

    return fire_then_done


def _nothing(*told: object) -> None:
    pass
