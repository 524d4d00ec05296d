"""The worker "home": harmless bodies run where time is kept, in threads of the ensemble's process, and are metered.

A run that costs too much, raises, or meets a value that is not plain and short has not happened. Its body leaves for
the worker process: with the state before that run, with the run itself, and with all that waits behind it. The worker
process tells the error, if it is one. The body stays there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import CodeType, FunctionType
from typing import Any

import msgspec

from ticktalk.bodies.budget import LONGEST, MOST_COST, Budget, TooMuchError
from ticktalk.bodies.metered import Metered, metered
from ticktalk.engine.bodies import GraphCode
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import FiringError
from ticktalk.physical.regions.in_worker import WorkerRegion
from ticktalk.physical.regions.messages import FormRegion, RegionRan, RunRegion
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.workers.channels import ThreadChannel
from ticktalk.physical.workers.protocol import (
    Answer,
    Command,
    Drop,
    FiringEnded,
    Harmless,
    Leave,
    LoadBodies,
    OfUnit,
    Restore,
    RunBody,
    Start,
)
from ticktalk.physical.workers.results import text
from ticktalk.physical.workers.units import Instance, RegionUnit, SendAnswer, Unit
from ticktalk.physical.workers.worker import Worker
from ticktalk.values.codec import decode_builtin, encode_value

SHARE = 1_000_000
"""Units of cost for all runs at home within a second: they take about a tenth of it."""

STATE = "its sq_state is long, not plain, or holds one list, dict, set or deque twice"
"""The reason for a body with such a state to leave."""

RUN = 300
"""Units of cost for what lies around each run."""


class HomeCode(GraphCode):
    """The harmless bodies of a graph; nothing else of the program is imported, run, or known.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: TTGraph) -> None:
        self.graph = graph
        self.file = graph.file or f"{graph.name}.py"
        self.decode = decode_builtin
        self._bodies: dict[str, tuple[Metered, Harmless]] = {}

    def add(self, harmless: dict[str, Harmless]) -> None:
        """Compile the bodies of more SQs.

        Raises:
            NotPlainError: one is not harmless.
        """
        functions = {sq.name: self.graph.functions[sq.function] for sq in self.graph.sqs if sq.name in harmless}
        for name, its in harmless.items():
            self._bodies[name] = metered(functions[name].source, tuple(sorted(its.means.items()))), its

    def body(self, sq: TTSQ) -> tuple[FunctionType, dict[str, Any]]:
        """A body of one instance, and its namespace: with its budget at ".budget"."""
        made, its = self._bodies[sq.name]
        budget = Budget()
        function, namespace = made.body(budget, decode_builtin(its.constants))
        function.__defaults__ = tuple(decode_builtin(its.defaults)) or None
        function.__kwdefaults__ = decode_builtin(its.by_name) or None
        namespace[".budget"] = budget
        return function, namespace

    def file_of(self, sq: TTSQ) -> str:
        """The file of an SQ's body."""
        return self.file

    def show_in_tracebacks(self) -> None:
        """No traceback is told from here."""


class Share:
    """The time of each second that all bodies at home may take together.

    Attributes:
        left: units of cost, in the second at hand.
    """

    def __init__(self) -> None:
        self.left = SHARE
        self._until = 0

    def took(self, cost: int) -> None:
        """A run has cost so much."""
        self.left -= cost + RUN
        now = monotonic_us()
        if now >= self._until:
            self._until, self.left = now + 1_000_000, SHARE

    def admits(self) -> bool:
        """True if there is something left for the next run. Else its body leaves, and the others have some more."""
        if self.left > 0:
            return True
        self.left = SHARE // 10
        return False


class HomeInstance(Instance):
    """A harmless body of one SQ of one context.

    Args:
        ident, encode, tell, max_value: as of `Instance`.
        share: what all bodies at home may take.

    Attributes:
        start: the command by which it is made elsewhere.
        budget: what its run at hand may still cost.
        kept: its `sq_state` as of the last run, encoded; empty: its body has none.
    """

    __slots__ = ("_command", "_share", "_tell", "budget", "kept", "start")

    start: Start
    budget: Budget

    def __init__(
        self, ident: int, encode: Callable[[Any], list[Any]], tell: SendAnswer, max_value: int, share: Share
    ) -> None:
        super().__init__(ident, False, encode, self._judge, max_value)
        self._tell = tell
        self._share = share
        self._command: OfUnit | None = None
        self.kept = b""

    def made(self, start: Start) -> None:
        """Its execute part is there."""
        self.start = start
        self.budget = self.execute.state[".budget"]
        if _uses_state(self.execute.body.__code__):
            self.kept = encode_value(self.execute.memory)

    def state(self) -> bytes:
        """Its `sq_state` as it stands, encoded.

        Raises:
            TooMuchError: it is too long, not plain, or holds something twice.
        """
        if not self.kept:
            return b""
        self.budget.pay_state(self.execute.memory)
        data = encode_value(self.execute.memory)
        if len(data) > LONGEST:
            raise TooMuchError
        return data

    def carry_out(self, command: OfUnit) -> None:
        """Run the body, or give or take its `sq_state`; or leave."""
        self._command = command
        if command.__class__ is RunBody:
            self.budget.left = MOST_COST
            if why := _kept_out(self._share, command.values):
                self.leave(why)
            else:
                self._fire(command)
                self._share.took(MOST_COST - self.budget.left)
        elif isinstance(command, Restore):
            try:
                super().carry_out(command)
                self.budget.left = MOST_COST
                self.kept = command.sq_state  # also of a body that does not name it: its next version may
                self.kept = self.state()
            except Exception:  # bytes that are no value, or one of the program's classes
                self.leave(STATE)
        elif isinstance(command, Leave):
            self._command = None
            self.leave(command.why)
        else:
            super().carry_out(command)

    def _judge(self, answer: Answer) -> None:
        """Tell the answer, if this run may have happened here."""
        if answer.__class__ is FiringEnded and answer.counted != "skipped":
            if isinstance(answer.outcome, FiringError):
                self.leave(_why(answer.outcome))
                return
            try:
                self.kept = self.state()
            except Exception:
                self.leave(STATE)
                return
        self._tell(answer)

    def leave(self, why: str) -> None:
        """Leave for the worker process, with the command at hand."""
        _leave(self.unit, self._command, self._tell, why)


class HomeRegion(RegionUnit):
    """The bodies of a region that are all harmless."""

    __slots__ = ("_command", "_lasting", "_share", "_tell", "formed")

    members: list[HomeInstance]  # type: ignore[assignment]

    def __init__(
        self, formed: FormRegion, region: WorkerRegion, members: list[HomeInstance], tell: SendAnswer, share: Share
    ) -> None:
        super().__init__(formed.ident, region, [*members], self._judge)
        self.formed = formed
        self._lasting = [data for member in formed.members for data in member.settled.values()]  # decoded in each run
        self._share = share
        self._tell: Callable[[Any], None] = tell
        self._command: OfUnit | None = None

    def carry_out(self, command: OfUnit) -> None:
        """Run the region, or note that it ends; or leave."""
        self._command = command
        if isinstance(command, RunRegion):
            each = MOST_COST // len(self.members)
            for member in self.members:
                member.budget.left = each
            left = next((member.left for member in self.members if member.left), "")
            if why := left or _kept_out(self._share, [command.data, self._lasting]):
                _leave(self, command, self._tell, why)
            else:
                super().carry_out(command)
                self._share.took(sum(each - member.budget.left for member in self.members))
        else:
            super().carry_out(command)

    def begins_after(self, member: Unit) -> bool:
        """As of `Unit`; a region that left meanwhile can be withdrawn from now on."""
        begins = super().begins_after(member)
        if begins and self.left:
            self._tell(LeftHome(self.ident, self.left))
        return begins

    def end(self) -> None:
        """Let the bodies take their turns by themselves again; one that was about to leave leaves now."""
        super().end()
        for member in self.members:
            if member.left:
                self._tell(LeftHome(member.ident, member.left))

    def _judge(self, answer: Answer) -> None:
        if isinstance(answer, RegionRan):
            if answer.errors:
                _leave(self, self._command, self._tell, _why(answer.errors[0]))
                return
            try:
                states = [member.state() for member in self.members]
            except Exception:
                _leave(self, self._command, self._tell, STATE)
                return
            for member, state in zip(self.members, states, strict=True):
                member.kept = state
        self._tell(answer)


def _uses_state(code: CodeType) -> bool:
    """True if `sq_state` is named in a body, or in a comprehension in it."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return "sq_state" in code.co_names or any(map(_uses_state, inner))


def _is_brief(data: Any) -> bool:
    """True for an encoded value, or several, that is not long; None: there is none."""
    if data.__class__ is list:
        return all(map(_is_brief, data))
    return data is None or (isinstance(data, bytes | memoryview) and len(data) <= LONGEST)


def _kept_out(share: Share, values: Any) -> str:
    """The reason that a run does not take place at home; empty: it does."""
    if not share.admits():
        return "the bodies at home took more than a tenth of the time"
    return "" if _is_brief(values) else "a long value came"


def _why(error: FiringError) -> str:
    """The reason for a run that failed at home to leave."""
    if TooMuchError.__name__ in error.exception:
        return f"{error.sq} was to take too long, or met a value that is long or not plain"
    return f"{error.sq} raised an error"


def _leave(unit: Unit, command: OfUnit | None, tell: Callable[[Any], None], why: str) -> None:
    with unit.lock:
        unit.left = why
        if command is not None:
            unit.waits.appendleft(command)
    tell(LeftHome(unit.ident, why))


class LeftHome(msgspec.Struct):
    """A body, or a region, leaves: `HomeChannel.withdraw` gives what is to be done for it elsewhere."""

    ident: int
    why: str


class HomeWorker(Worker):
    """Runs harmless bodies."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._share = Share()

    def _problem_with(self, command: LoadBodies) -> str | None:
        name = command.graph
        try:
            if name not in self._graphs:
                graph = msgspec.json.decode(command.text, type=TTGraph)
                self._graphs[name] = (graph, HomeCode(graph), graph.clock_tree())
            code = self._graphs[name][1]
            assert isinstance(code, HomeCode)
            code.add(command.harmless)
        except Exception as error:
            return text(f"{name}: {type(error).__name__}: {error}")
        return None

    def _start(self, command: Start) -> None:
        super()._start(command)
        for new in command.instances:
            made = self._units[new.ident]
            assert isinstance(made, HomeInstance)
            made.made(Start(command.graph, command.context, command.tick, [new]))

    def _instance(self, ident: int, sq: TTSQ, encode: Callable[[Any], list[Any]]) -> Instance:
        return HomeInstance(ident, encode, self._answer, self._max_value, self._share)

    def _region(self, command: FormRegion, region: WorkerRegion, members: list[Instance]) -> RegionUnit:
        mine = [each for each in members if isinstance(each, HomeInstance)]
        return HomeRegion(command, region, mine, self._answer, self._share)

    def withdraw(self, ident: int) -> tuple[list[int], list[Command]]:
        """Forget a body or a region that leaves; see `HomeChannel.withdraw`."""
        unit = self._units.get(ident)
        if unit is None or unit.unit is not unit:  # its region was formed meanwhile: that leaves at its next run
            return [], []
        if isinstance(unit, HomeRegion) and unit.awaited:  # a thread is to take the state of one of its bodies
            return [], []
        members = unit.members if isinstance(unit, HomeRegion) else [unit] if isinstance(unit, HomeInstance) else []
        gone = [each.ident for each in members if each.ident not in self._units]  # dropped while the region ran
        commands: list[Command] = [each.start for each in members]
        commands += [Restore(each.ident, each.kept) for each in members if each.kept]
        if isinstance(unit, HomeRegion):
            commands += [command for member in members for command in member.waits]
        with unit.lock:
            if isinstance(unit, HomeRegion) and not unit.split:
                commands.append(unit.formed)
            commands += unit.waits
            unit.waits.clear()
        idents = [each.ident for each in members]
        for number in (ident, *idents):
            self._units.pop(number, None)
        return idents, [*commands, *map(Drop, gone)]


class HomeChannel(ThreadChannel):
    """The way to the worker "home".

    Args: as of `ThreadChannel`.
    """

    kind = HomeWorker
    prints = nullcontext  # a harmless body does not print

    def withdraw(self, ident: int) -> tuple[list[int], list[Command]]:
        """Forget a body or a region that leaves; called by the timekeeper.

        Returns:
            The numbers of its bodies, and what is to be done for them elsewhere, in this order.
        """
        assert isinstance(self._worker, HomeWorker)
        forming = [each.members for each in self._commands if isinstance(each, FormRegion)]
        if any(member.ident == ident for members in forming for member in members):
            return [], []  # its region leaves at its first run
        idents, commands = self._worker.withdraw(ident)
        mine = {ident, *idents}
        unread = [command for command in self._commands if getattr(command, "ident", None) in mine]
        for command in unread:
            self._commands.remove(command)
        return idents, [each for each in (*commands, *unread) if not isinstance(each, Leave)]
