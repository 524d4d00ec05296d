"""Execution: runs bodies, one firing at a time, and keeps their errors from everything else."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dis import opname
from pathlib import Path
from types import FunctionType
from typing import Any

from ticktalk.engine.bodies import GraphCode
from ticktalk.engine.components import Components, running
from ticktalk.engine.this_firing import Firing, telling
from ticktalk.error_hints import hint
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import INSTRUCTIONS, ON_TOKENS, Results, Setting
from ticktalk.payloads import FiringError
from ticktalk.printable import block, bounded
from ticktalk.time import ROOT, Tick, TTClock, TTEmpty, TTTag, TTTime, TTToken

Send = Callable[[Any, Tick, Tick], None]

GENERATED = "<generated>"
"""The file name of code that the runtime makes; tracebacks shown to people leave it out."""

_PACKAGE = str(Path(__file__).parents[1]) + os.sep


class TTSQExecute:
    """The execute part of one SQ in one context: its body, in a namespace of its own.

    Args:
        sq: the SQ.
        ensemble: the hosting ensemble's name, for messages.
        code: the graph's code in this process.
        clock: the clock the SQ is set to.
        start_tick: when the context started (root ticks).
        components: the ensemble's drivers.
        send: takes the result and its interval; raises the error that makes the firing fail (no codec, a wrong length).
        report: takes a `FiringError`.
        context: the number of the context (`TTTag.u`).
        tally: takes a kind of counter to be counted at the SQ.

    Raises:
        BodyError: the body does not compile or its module-level statements do not run here.
    """

    def __init__(
        self,
        sq: TTSQ,
        ensemble: str,
        code: GraphCode,
        clock: TTClock,
        start_tick: int,
        components: Components,
        send: Send,
        report: Callable[[FiringError], None],
        context: int = 0,
        tally: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self.sq = sq
        self.send = send
        self.report = report
        self.fired = 0
        self.state: dict[str, Any] = {}
        self.firing: Firing | None = None  # the one at hand, or the last one, if the body may ask for it
        self.name = sq.name
        self.ensemble = ensemble
        self.code = code
        self.components: Components | None = components
        self.setting: Setting | None = None  # of an instruction on tokens
        tag = TTTag(context, sq.name, 0, ensemble)
        self._tags: list[TTTag] = []
        self.fire: Callable[[Tick, Tick, tuple[Any, ...], int], None]
        self.results: Callable[[tuple[Any, ...], int], Results]  # of an SQ on tokens: what it gives for them, and when
        if sq.body:
            body, self.state = code.body(sq)
            self.body, self.arrange = _call_shape(sq, body, tag)
            self.fire = self._fire
            if sq.full_token:
                self.fire, self.results = self._fire_on_tokens, self._results_of_body
                self._tags = [tag._replace(p=index) for index, port in enumerate(sq.ports) if port.constant is None]
            if sq.told:
                self.fire = telling(self.fire, sq, self)
            return
        compute = INSTRUCTIONS[sq.function].compute
        if sq.function in ON_TOKENS:
            self.body, self.arrange = _call_shape(sq, compute, tag, full=True)
            grid = sq.every, sq.phase, sq.width
            self.setting = Setting(self._parameter, clock, start_tick, grid, tally=tally)
            self.fire, self.results = self._fire_on_tokens, self._results_of_instruction
        else:
            self.body, self.arrange = _call_shape(sq, compute, tag)
            self.fire = self._fire

    def _parameter(self, name: str) -> Any:
        """The value that an instruction's call fixed under this name; decoded each time, as its user may change it."""
        return decode_constant(self.sq.instruction.get(name))

    def _fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Run the body on `values` and send its result on [start, stop)."""
        running.current = self
        self.fired += 1
        try:
            arrange = self.arrange
            result = self.body(*values) if arrange is None else arrange(self.body, values)
            running.current = None  # the receiver of the result is not this body
            if result.__class__ is not TTEmpty:
                self.send(result, start, stop)
        except BaseException as error:
            self.failed(error, start, stop)

    def _fire_on_tokens(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Run what works on tokens, and send each result on its own interval."""
        self.fired += 1
        try:
            for result, begin, end in self.results(values, now):
                self.send(result, begin, end)
        except BaseException as error:
            self.failed(error, start, stop)

    def _results_of_body(self, values: tuple[Any, ...], now: int) -> Results:
        tokens = tuple(
            [
                TTToken(value, TTTime(ROOT, begin, end), tag)
                for (begin, end, value), tag in zip(values, self._tags, strict=True)
            ]
        )
        running.current = self
        result = self.body(*tokens) if self.arrange is None else self.arrange(self.body, tokens)
        running.current = None
        if result.__class__ is TTEmpty:
            return []
        if not isinstance(result, TTToken):
            raise TypeError(
                "a body with TTExecuteOnFullToken=True returns a TTToken (or TTEmpty()), not"
                f" {type(result).__name__}: return TTToken(value, token.time)"
            )
        time = result.time
        if time.clock != ROOT:
            raise ValueError(
                f"the clock of a returned token must be that of its inputs, {ROOT.name!r}, not {time.clock.name!r}"
            )
        return [(result.value, time.start_tick, time.stop_tick)]

    def _results_of_instruction(self, values: tuple[Any, ...], now: int) -> Results:
        assert self.setting is not None
        self.setting.now = now
        return self.computed(self.setting, values)

    def computed(self, setting: Setting, values: tuple[Any, ...]) -> Results:
        """The results of an instruction on tokens in a setting."""
        inputs = values if self.arrange is None else self.arrange(_as_tuple, values)
        results: Results = self.body(setting, *inputs)
        return results

    @property
    def memory(self) -> Any:
        """The state kept from firing to firing: `sq_state`, or an instruction's own."""
        return self.state.get("sq_state", {}) if self.setting is None else self.setting.state

    @memory.setter
    def memory(self, memory: Any) -> None:
        if self.setting is None:
            self.state["sq_state"] = memory
        else:
            self.setting.state = memory

    def failed(self, error: BaseException, start: Tick, stop: Tick) -> None:
        """Report a firing that raised; SystemExit too: a body ends itself, never the runtime. Ctrl-C ends it."""
        in_body, running.current = running.current is not None, None
        if isinstance(error, KeyboardInterrupt) and not (in_body and _by_statement(error)):
            raise error
        self.report(firing_error(self.sq, self.ensemble, self.code, error, start, stop))


def _by_statement(error: BaseException) -> bool:
    """True if a `raise` has raised it, not the user's Ctrl-C."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def _as_tuple(*values: Any) -> tuple[Any, ...]:
    return values


def _call_shape(
    sq: TTSQ, body: Callable[..., Any], tag: TTTag, full: bool = False
) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """The way from the values of the arc ports to the body's arguments.

    Gives the body and None when they are just that, else a function `(body, values) -> result`.
    """
    if sq.spread:
        return body, lambda body, values: body(*values[0])
    visible = [port for port in sq.ports if not port.hidden]
    arcs = [port for port in sq.ports if port.constant is None]
    full = full or sq.full_token
    if visible == arcs and not any(port.keyword for port in visible):
        return body, None
    constants = {port.name: decode_constant(port.constant[0]) for port in visible if port.constant is not None}
    trailing = visible[len(visible) - len(constants) :]
    fixed = all(unchangeable(value) for value in constants.values())
    if (
        isinstance(body, FunctionType)
        and sq.body
        and fixed
        and not full
        and arcs == visible[: len(arcs)]
        and all(port.name in constants and not port.keyword for port in trailing)
        and body.__code__.co_argcount >= len(visible)
    ):
        # Constants after the arcs become defaults, so that a firing is a plain call.
        names = body.__code__.co_varnames[: body.__code__.co_argcount]
        have = dict(zip(names[len(names) - len(body.__defaults__ or ()) :], body.__defaults__ or (), strict=True))
        have.update({port.name: constants[port.name] for port in trailing})
        body.__defaults__ = tuple(have[name] for name in names[len(arcs) :])
        return body, None
    # Slot of the value (-1: a constant), its encoding, keyword, port.
    takes: list[tuple[int, Any, str | None, int]] = []
    slot = 0
    for index, port in enumerate(sq.ports):
        keyword = port.name if port.keyword else None
        if port.constant is not None:
            takes.append((-1, port.constant[0], keyword, index))
            continue
        if not port.hidden:
            takes.append((slot, None, keyword, index))
        slot += 1

    def constant(encoded: Any, index: int) -> Any:
        value = decode_constant(encoded)  # decoded anew: a body may change its arguments
        if sq.full_token:
            return TTToken(value, TTTime.infinite(ROOT), tag._replace(p=index))
        return (float("-inf"), float("inf"), value) if full else value

    def arrange(body: Callable[..., Any], values: tuple[Any, ...]) -> Any:
        arguments = []
        keywords = {}
        for slot, encoded, keyword, index in takes:
            value = constant(encoded, index) if slot < 0 else values[slot]
            if keyword is None:
                arguments.append(value)
            else:
                keywords[keyword] = value
        return body(*arguments, **keywords)

    return body, arrange


def unchangeable(value: Any) -> bool:
    """True if `value` cannot be changed, so that all firings may share it."""
    if isinstance(value, tuple):
        return all(unchangeable(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes, frozenset, range))


def firing_error(
    sq: TTSQ, ensemble: str, code: GraphCode, error: BaseException, start: Tick, stop: Tick
) -> FiringError:
    """The report of `error`: the innermost line of the program in its traceback, else the line of the use."""
    file, line = code.file_of(sq), 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    if not line:
        # Nothing of the program ran: the place to look at is its function, or where the instruction is used.
        line = code.graph.functions[sq.function].line if sq.body else sq.line
    code.show_in_tracebacks()
    text = _traceback(sq, code, error)
    try:
        message, remedy = bounded(str(error)), hint(error)
    except Exception:
        message, remedy = "(its message cannot be shown)", ""
    what = (f"{type(error).__name__}: {message}" if message else type(error).__name__) + remedy
    finite = [int(tick) if abs(tick) != float("inf") else None for tick in (start, stop)]
    return FiringError(sq.name, ensemble, finite[0], finite[1], file, line, what.replace("\n", " "), text)


def _traceback(sq: TTSQ, code: GraphCode, error: BaseException) -> str:
    """The traceback of `error` as the program's: from the line where the SQ is used, without our own calls."""
    shown = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = shown
    while each is not None:
        each.stack[:] = [frame for frame in each.stack if not _is_ours(frame.filename)]
        each = each.__cause__ or each.__context__
    if sq.line:
        shown.stack.insert(0, traceback.FrameSummary(sq.file or code.file, sq.line, code.graph.name))
    return block("".join(shown.format()))


def _is_ours(file: str) -> bool:
    return file == GENERATED or file.startswith(_PACKAGE)
