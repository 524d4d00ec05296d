"""The runtime manager on a device: hosts the manager's rules in the thread that keeps time, and answers joins."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec

from ticktalk.defaults import CHECKPOINT_PERIOD, PATIENCE
from ticktalk.errors import InvalidMessageError, TTError
from ticktalk.heartbeats import ControlState
from ticktalk.manager.driver import Driver
from ticktalk.manager.events import OutputLeftOut, Refused, RefusedMore, StateNotWritten, StateWritten
from ticktalk.manager.liveness import WATCH_PERIOD, Why
from ticktalk.manager.reports import REPORT_PERIOD
from ticktalk.manager.saving import Keeper
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import NetMsg, RuntimeMsg, message
from ticktalk.network_interface import Question
from ticktalk.network_keys import GREET, HELLO, JOIN, RESUME
from ticktalk.payloads import OutputToken, OutputTokens, StartContext, Unreadable
from ticktalk.physical.network.inboxes import Inboxes
from ticktalk.physical.network.joining import ReachableEnsemble, Welcome, nobody_listens, refusal_text
from ticktalk.physical.node import Node
from ticktalk.physical.output_values import rendered
from ticktalk.physical.recording import NoRecorder, RecordSink
from ticktalk.physical.state_store import StateStore
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.trust.guard import revoked_text
from ticktalk.physical.trust.questions import ROOM, Asked, NotNewError
from ticktalk.physical.trust.trust import Trust
from ticktalk.processes import TTRuntimeManagerProcess
from ticktalk.records import TookOver
from ticktalk.repeats import Repeats
from ticktalk.values.codec import Encoded

logger = logging.getLogger("ticktalk")

START_LEAD = 100_000
"""Root ticks between a start and its start tick: every ensemble has heard of it by then."""

KEEP_PERIOD = 500_000
"""Microseconds between two looks for what has changed by itself, such as checkpoints: it is written then."""

QUESTIONS = 100
"""Questions of one requester that wait to be handled; further ones are refused."""

CALLS = 100_000
"""Calls of the user's callbacks that wait."""

CALLS_BYTES = 256 << 20
"""Bytes of the values in them."""

ROWS_KEPT = 1000
"""Output rows per graph that are kept for requesters that ask late."""


class ManagerNode(Driver):
    """Hosts the manager's rules; all of it runs in the thread that keeps time.

    Args:
        checkpoint: microseconds between two checkpoints of every instance; 0: none.
        state: the folder in which what it knows is kept; None: it is not.
        name, address: of the manager, for which the folder has to be; a port of 0: that of the one before.

    Raises:
        TTRuntimeError: the folder is another manager's, or cannot be read.
    """

    rows_kept = ROWS_KEPT
    patience = PATIENCE

    def __init__(
        self, checkpoint: int = CHECKPOINT_PERIOD, state: str | None = None, name: str = "", address: str = ""
    ) -> None:
        if not isinstance(checkpoint, int) or checkpoint < 0:
            raise ValueError(f"checkpoint is {checkpoint!r}: a number of microseconds, or 0 for none")
        self._checkpoint = checkpoint
        self.store = None if state is None else StateStore(state, name, address)
        self.known = None if self.store is None else self.store.known
        self.keeps_state = self.store is not None
        self.on_shut_down: Callable[[], None] | None = None
        self._refusals, self._unreadable = Repeats(), Repeats()
        self.recorder: RecordSink = NoRecorder()
        self._goes_on: dict[int, threading.Event] = {}  # by context that has not ended: set when it does
        self.keeper: Keeper | None = None

    @contextmanager
    def begins(self) -> Iterator[ManagerNode]:
        """This driver, while its manager is made; if that fails, the folder is given back, for another try."""
        try:
            yield self
        except BaseException:
            if self.store is not None:
                self.store.close()
            raise

    def host(self, node: Node, process: TTRuntimeManagerProcess, trust: Trust) -> None:
        """Host a process on the manager's own node.

        Args:
            node: the manager's own ensemble; its link is open.
            process: the documented process.
            trust: knows whose messages are taken.
        """
        self.node, self.process, self.trust = node, process, trust
        requests = process.requests
        node.take_output = self._own_output
        node.take_error = process.errors.add
        # These come with the tick at which they were received; outputs are many, and nothing follows from them.
        node.take_control[RuntimeMsg.OUTPUT_TOKENS] = self._take_outputs
        node.take_control[RuntimeMsg.RECORDED] = lambda recorded, stamp: self.recorder.take(recorded)
        node.take_control[RuntimeMsg.PING] = self._now(requests.liveness.ping)
        node.take_control[RuntimeMsg.REPORT] = self._now(requests.reports.take)
        node.serve(process)
        node.network_manager.setup_proc_intfc(
            node.input_token_process.input_msg, node.execute_process.input_msg, process.input_msg
        )
        process.setup_proc_intfc(node.network_manager.input_msg)
        self._questions = Inboxes(node.loop.post, QUESTIONS, lambda requester: ROOM, node.dropped)
        node.link.answer(GREET, lambda question: question.answer(trust.guard.greeting()))
        self.answer(HELLO, partial(self._hello, HELLO))
        self.answer(JOIN, partial(self._hello, JOIN))
        self.answer(RESUME, partial(self._hello, RESUME))
        node.loop.every(WATCH_PERIOD, self._now(requests.liveness.watch))
        node.loop.every(WATCH_PERIOD, process.outputs.flush)
        node.loop.every(KEEP_PERIOD, self._now(requests.taking.tell))
        node.loop.every(WATCH_PERIOD, self._tell_more_refused)
        node.loop.every(WATCH_PERIOD, self._now(self._look_for_revoked))
        node.loop.every(REPORT_PERIOD, self._now(requests.reports.ask))

    def _take_outputs(self, outputs: OutputTokens, stamp: int) -> None:
        requests = self.process.requests
        for output in requests.taking.new(outputs):
            if isinstance(output, Unreadable):
                self.node.own["invalid"] += 1
                if self._unreadable.may_tell(self.now()):
                    requests.tell(OutputLeftOut(output.ensemble, output.why))
                continue
            try:
                self.process.outputs.take(output, stamp)
            except InvalidMessageError as error:
                self.node.refuse(error)

    def _now(self, act: Callable[..., None]) -> Callable[..., None]:
        """`act`, after which all messages that it sends are on their way."""

        def call(*arguments: Any) -> None:
            act(*arguments)
            self.node._drain()

        return call

    # For the rules.

    def now(self) -> int:
        """The present root tick."""
        return self.node.clock.now()

    def heard_until(self) -> int:
        """See `Driver.heard_until`."""
        return self.node.loop.taken_until()

    def start_tick(self) -> int:
        """A little ahead of now, so that a graph begins everywhere at one tick."""
        return self.now() + START_LEAD

    def checkpoint_period(self) -> int:
        """Ticks between two checkpoints."""
        return self._checkpoint

    def after(self, ticks: int, act: Callable[[], None]) -> None:
        """Call `act` so much later."""
        self.node.loop.after(ticks, self._now(act))

    def when_written(self, act: Callable[[], None]) -> None:
        """See `Driver.when_written`."""
        if self.keeper is None:
            act()
        else:
            self.keeper.when_written(act)

    def begin(self) -> None:
        """Keep what the manager knows from now on, and go on with what the one before it knew; before time is kept."""
        loop, store = self.node.loop, self.store
        if store is not None:
            store.post = lambda act: loop.post(self._now(act))
            store.told = self._now(self._tell_of_state)
            store.say_holder(self.process.state.manager.address)
            self.keeper = keeper = Keeper(self.process.state, store.kept, store, loop.post, self.process.outputs.mark)
            loop.every(KEEP_PERIOD, keeper.write)
            if self.known is not None:
                self.process.requests.restarted()
                self._expel_lost()  # later only a change of the list has them looked at
                loop.post(self.node._drain)

    def kept(self) -> dict[str, str] | None:
        """See `Driver.kept`."""
        store = self.store
        return None if store is None else {"folder": str(store.folder), "failure": store.failure}

    def _tell_of_state(self) -> None:
        assert self.store is not None
        folder, failure, requests = str(self.store.folder), self.store.failure, self.process.requests
        event = StateNotWritten(folder, failure) if failure else StateWritten(folder)
        requests.tell(event)
        if not requests.watchers:
            logger.warning("%s", event)

    def heartbeat(self, ensemble: str, control: ControlState) -> ControlState:
        """See `Driver.heartbeat`."""
        self.node.heard(ensemble, control)
        self.node._drain()  # what was told before counts as sent
        return self.node.order.says(ensemble)

    def if_ended(self, ensemble: EnsembleInfo, act: Callable[[str], None]) -> None:
        """See `Driver.if_ended`. Its host says so, where it is reached: it refuses connections."""

        def look() -> None:
            if nobody_listens(ensemble.address):
                self.node.loop.post(self._now(partial(act, ensemble.address)))

        if ensemble.direct and ensemble.address:  # a thread, as it blocks for a moment
            threading.Thread(target=look, name="ticktalk looks for an ensemble", daemon=True).start()

    def connected(self) -> Collection[str]:
        """The ids of the sessions that are connected now."""
        return self.node.link.reachable()

    def refused(self) -> dict[str, int]:
        """By kind, how much came to the manager and was not taken."""
        return self.node.refused()

    def started(self, start: StartContext) -> None:
        """A context goes on: `wait` waits for it."""
        self._goes_on[start.context] = threading.Event()
        if start.record:
            state = self.process.state.graphs[start.graph]
            self.recorder.begin(start, state.graph, state.host_of, takes_over=state.state == "waiting")

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""
        self.recorder.took_over(note)

    def ended(self, context: int) -> None:
        """A context has ended: `wait` waits no longer."""
        self._goes_on.pop(context).set()

    def shut_down(self) -> None:
        """Pass on that the system is to end."""
        if self.on_shut_down is not None:
            self.on_shut_down()

    def not_ended(self, graph: str | None) -> list[threading.Event]:
        """For each context of a graph (None: of any) that has not ended: an event that is set when it does."""
        return [
            self._goes_on[context.number]
            for state in self.process.state.graphs.values()
            for context in (state.live if graph in (None, state.title) else ())
        ]

    # Questions.

    def answer(self, key: str, handle: Callable[[Question, Asked], None]) -> None:
        """Have the proven questions of trusted requesters handled in turn, by the thread that keeps time."""
        self.node.link.answer(key, partial(self._came, key, handle))

    def _came(self, key: str, handle: Callable[[Question, Asked], None], question: Question) -> None:
        """See in the network's thread from whom a question is: that may take long, and no requester fills the room."""
        try:
            asked = self.trust.guard.prove_question(key, question.payload)
        except TTError as error:
            question.refuse(str(error))
            self._questions.put(None, 0, self._refused, str(error))
            return
        name, size = asked.requester.name, len(question.payload)
        waiting, waiting_bytes = self._questions.of(name)
        if waiting >= QUESTIONS or waiting_bytes + size > asked.room:
            why = f"too many questions of {name!r} wait: ask again later"
            if size > asked.room:
                why = f"a question of {name!r} is longer than {asked.room} bytes"
            question.answer(asked.answer(False, why.encode()))
            self._questions.put(None, 0, self._refused, why, "", "overflow")
        else:
            self._questions.put(name, size, self._handle, handle, question, asked)

    def _handle(self, handle: Callable[[Question, Asked], None], question: Question, asked: Asked) -> None:
        """Handle a question; if that fails by a defect of ours, or for lack of something, its requester is told."""
        try:
            self._look_for_revoked()
            try:
                self.trust.guard.take_question(asked)
            except TTError as error:
                question.refuse(str(error))
                self._refused(str(error), kind=error.kind if isinstance(error, NotNewError) else "forged")
            else:
                handle(question, asked)
        except Exception as error:
            question.refuse(failure(error))
            raise

    def _refused(self, why: str, name: str = "", kind: str = "forged") -> None:
        """Tell that a question or a join was refused, unless many are, and count it as this kind, if it is one."""
        if kind:
            self.node.own[kind] += 1
        if self._refusals.may_tell(monotonic_us()):
            self.process.requests.tell(Refused(name, why))

    def _tell_more_refused(self) -> None:
        count = self._refusals.left_out(monotonic_us())
        if count:
            self.process.requests.tell(RefusedMore(count))

    # Joins and outputs.

    def _look_for_revoked(self) -> None:
        """A list that has changed takes effect at once, here and at every ensemble."""
        before = self.trust.guard.revocations
        self.trust.warn_of_end()
        try:
            gone = self.trust.look()
        except TTError as error:
            self.process.requests.tell(Refused("the revocation list", str(error)))
            return
        if self.trust.guard.revocations is before:
            return
        for known in gone:
            self.process.requests.liveness.expelled(known.name, revoked_text(known))
            self.node._drain()
            self.trust.guard.forget(known.name)
        self._expel_lost()
        for name in self.process.state.ensembles:
            self.node.send(name, message(NetMsg.REVOKED, self.trust.list_content))

    def _expel_lost(self) -> None:
        """An ensemble that is gone, and whose certificate was revoked, does not come back."""
        for name, lost in list(self.process.state.lost.items()):
            if self.trust.guard.is_revoked(lost.info.badge):
                self.process.requests.liveness.expelled(name)

    def _hello(self, key: str, question: Question, asked: Asked) -> None:
        requests, requester = self.process.requests, asked.requester
        try:
            info = msgspec.msgpack.decode(asked.body, type=EnsembleInfo)
            if requester.role != "ensemble":
                raise TTError(
                    f"the credentials of {requester.name!r} give the role {requester.role}, so it cannot join"
                )
            if requester.name != info.name:
                raise TTError(f"the certificate is issued to {requester.name!r}, so it cannot join as {info.name!r}")
        except (TTError, msgspec.DecodeError) as error:
            self._refused(str(error), kind="unauthorized")
            question.answer(asked.answer(False, str(error).encode()))
            return
        if key == RESUME:
            self._resume(info, question, asked)
            return
        joins = key == JOIN
        refusal = requests.liveness.refusal(info)
        if refusal is not None:
            if joins or refusal.why is Why.VERSION:
                self._refused(refusal.text, info.name, "")
            question.answer(asked.answer(False, refusal_text(refusal).encode()))
            return
        if joins:
            self.trust.guard.admit(asked.badge, info.name)
            self.node.receive(
                message(RuntimeMsg.JOIN, msgspec.structs.replace(info, badge=asked.badge, expires=requester.expires))
            )
        self._welcome(info, question, asked, joins)

    def _resume(self, info: EnsembleInfo, question: Question, asked: Asked) -> None:
        """Take an ensemble that is known back, or tell it to join anew."""
        info = msgspec.structs.replace(info, badge=asked.badge, expires=asked.requester.expires)
        if not self.process.requests.liveness.knows(info):
            question.answer(asked.answer(False, f"{info.name!r} is not known here as it is: it joins anew".encode()))
            return
        self.trust.guard.admit(asked.badge, info.name)
        self.process.requests.liveness.resumes(info)
        self.node._drain()
        self._welcome(info, question, asked, True)

    def _welcome(self, info: EnsembleInfo, question: Question, asked: Asked, joined: bool) -> None:
        """Answer an ensemble that may take part, or does, when what the manager knows of it is written."""
        state = self.process.state
        now = self.now()
        others = [(other.info, now - other.heard) for name, other in list(state.ensembles.items()) if name != info.name]
        peers = [_reachable(other, max(0, silent)) for other, silent in others]
        away = [other.info for name, other in list(state.lost.items()) if name != info.name]
        lost = [_reachable(msgspec.structs.replace(e, badge=b"")) for e in away if e.direct and e.address]
        first = self.node.order.first(info.name) if joined else 0
        welcome = Welcome(self.node.name, peers, state.manager.boot_id, now, self.trust.list_content, lost, first)
        answer = asked.answer(True, msgspec.msgpack.encode(welcome))
        self.when_written(lambda: question.answer(answer))

    def _own_output(self, token: OutputToken) -> None:
        if token.shown is None:
            value, shown = rendered(token.value)
            token = msgspec.structs.replace(token, value=Encoded(value), shown=shown)
        self.process.outputs.take(token, self.now())


def _reachable(info: EnsembleInfo, silent: int = 0) -> ReachableEnsemble:
    return ReachableEnsemble(info.name, info.address, info.zid, info.direct, info.badge, silent)


def failure(error: BaseException) -> str:
    """The answer to a question that cannot be answered."""
    if isinstance(error, TTError):
        return str(error)
    return f"the manager could not do this: {type(error).__name__}: {error} (it shows where on its stderr)"


def in_loop(node: Node, act: Callable[[], Any]) -> Any:
    """Have the timekeeper do something, and wait for the result or the error."""
    reply: Future[Any] = Future()

    def call() -> None:
        try:
            reply.set_result(act())
        except TTError as error:
            reply.set_exception(error)
        except Exception as error:  # a defect of ours: the caller has to hear of it
            reply.set_exception(error)
            raise

    node.loop.post(call)
    return reply.result(30)


class Callbacks:
    """Calls the user's callbacks in a thread of their own: a slow one holds up no other thread.

    What waits for them is bounded: calls beyond it are left out, counted, and told once until all have been made.

    Attributes:
        left_out: calls that were not made.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Callable[[Any], None], Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.left_out = 0
        self._told = False
        self._bytes = [0, 0]  # of values that were put in; of those that were taken out

    def wrap(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """`callback`, called there."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ticktalk callbacks", daemon=True)
            self._thread.start()
        return lambda item: self._put(callback, item)

    def _put(self, callback: Callable[[Any], None], item: Any) -> None:
        waiting = self._queue.qsize()
        if not waiting:
            self._told = False
        elif waiting >= CALLS or self._bytes[0] - self._bytes[1] > CALLS_BYTES:
            self.left_out += 1
            if not self._told:
                self._told = True
                logger.error("callbacks do not keep up: %d wait; later ones are left out; log files are whole", waiting)
            return
        self._bytes[0] += _size(item)
        self._queue.put((callback, item))

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            callback, item = entry
            self._bytes[1] += _size(item)
            try:
                callback(item)
            except BaseException:  # SystemExit, too: it would end all callbacks, and nobody would hear of it
                logger.exception("a callback raised; the callbacks go on")

    def close(self, limit: float | None = 5) -> None:
        """Make the calls that wait, for at most so many seconds (None: as long as it takes), then end."""
        if self._thread is not None:
            self._queue.put(None)
            if self._thread is not threading.current_thread():  # else a callback ends the system: they follow it
                self._thread.join(limit)
            self._thread = None
        if self.left_out:
            logger.error("%d calls of callbacks were left out, because earlier ones took too long", self.left_out)


def _size(item: Any) -> int:
    """The bytes of an output's value; of anything else they do not matter."""
    return len(item.value.data) if isinstance(item, OutputToken) and isinstance(item.value, Encoded) else 0
