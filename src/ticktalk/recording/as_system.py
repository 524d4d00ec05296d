"""A replay as a system that has a status, as a runtime manager gives it: for a dashboard.

State: a manager's state made of the setup; outputs and errors are counted in it as they come in the replay.
"""

from __future__ import annotations

from typing import Any

from ticktalk.hosted.completion import Completion
from ticktalk.hosted.silence import all_stuck
from ticktalk.manager.outputs import Errors, Outputs
from ticktalk.manager.state import ContextState, EnsembleState, GraphState, LostEnsemble, ManagerState
from ticktalk.manager.status import status
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import IdleReport
from ticktalk.recording.replay import Replay


class ReplayedSystem:
    """A replay with the status of a system.

    Args:
        replay: the replay; its errors are taken.
        manager: the manager's name.

    Attributes:
        state: as a manager has it.
        outputs: takes the outputs of the replay, in order.
    """

    def __init__(self, replay: Replay, manager: str) -> None:
        self._replay = replay
        setup = replay.setup
        names = dict.fromkeys(host for host in setup.host_of.values() if host and host != manager)
        context = ContextState(setup.context, setup.start_tick, {}, setup.until, 0, Completion({manager, *names}))
        graph = GraphState(
            replay.graph, dict(setup.host_of), [*names], set(), state="running", contexts={setup.context: context}
        )
        self.state = ManagerState(EnsembleInfo(manager), {}, graphs={setup.title: graph})
        self._graph, self._context = graph, context
        self._known = dict.fromkeys(setup.host_of.values())  # in the order in which they came to host something
        self.outputs = Outputs(self.state)
        self.outputs.begin(context)
        replay.on_error = Errors(self.state).add

    def status(self, tick: int) -> dict[str, Any]:
        """The status at a root tick, up to which the replay has gone."""
        replay, name, context = self._replay, self._replay.setup.title, self._replay.context
        self._known |= dict.fromkeys(replay.host_of.values())
        there = [each for each in self._known if each not in ("", self.state.manager.name, *replay.lost)]
        self.state.ensembles = {each: EnsembleState(EnsembleInfo(each), heard=tick) for each in there}
        self.state.lost = {each: LostEnsemble(EnsembleInfo(each)) for each in self._known if each in replay.lost}
        self._graph.host_of = dict(replay.host_of)
        counts = {sq: dict(kinds) for sq, kinds in context.counters.by_sq.items()}
        sent = {arc: {"": number} for arc, number in replay.tokens.items()}
        busy = next((f"{sq} runs" for sq in context.syncs if replay.running(sq)), "")
        report = IdleReport(
            name, context.number, "", 0, busy, sent, counts=counts, waiting=context.waiting(), stuck=all_stuck(context)
        )
        self._context.completion.see([report])
        return status(self.state, tick, {name: counts}, None, {}, [], self.outputs.latencies)
