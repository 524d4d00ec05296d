"""A replayed run goes on: what its SQs hold at the end of the replay is given to a context of a simulation.

The replay owns all state up to the hand-over, the contexts of the simulation from then on. Handed over are the states
of SQs, the tokens on their way, and the firings whose bodies have not ended: those begin anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ticktalk.engine.context import Context
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import keeps_state
from ticktalk.engine.state import Saver
from ticktalk.graph.graph import TTGraph
from ticktalk.recording.replay import Replay
from ticktalk.time.grid import Period


def graph_now(replay: Replay) -> TTGraph:
    """The replayed graph, with the grids that its streams have now, and under its name in the run."""
    sqs = []
    for sq in replay.graph.sqs:
        sync = replay.context.syncs[sq.name]
        if isinstance(sync, GridSync):
            every: Period = sync.every
            grid = {"period": every.numerator, "per": every.denominator, "phase": sync.phase, "width": sync.width}
            sq = msgspec.structs.replace(sq, **grid)
        sqs.append(sq)
    return msgspec.structs.replace(replay.graph, sqs=sqs, name=replay.setup.title)


def begin_anew(replay: Replay) -> list[str]:
    """The streams, and SQs with components, that keep a state which the recording does not have."""
    return [sq.name for sq in replay.graph.sqs if keeps_state(sq) and replay.without_state(sq.name)]


def hand_over(replay: Replay, contexts: Iterable[Context], delay: int) -> list[str]:
    """Let contexts, which have begun at the present tick of their agenda, go on where a replay has ended.

    Args:
        replay: up to that tick.
        contexts: of the same graph; each has the SQs of one ensemble.
        delay: root ticks that tokens on their way between two ensembles take.

    Returns:
        What could not be handed over, as `SQ: what`.
    """
    saver = Saver(everything=True)
    states = replay.context.save(replay.context.syncs, saver)
    for context in contexts:
        here = context.prepared.sqs
        context.place(here, {sq.name: states[sq.name] for sq in here}, replay.load)
        for sq in here:
            sync, now = context.syncs[sq.name], context.agenda.now
            for port in range(len(sq.ports)):
                for token in replay.under_way(sq.name, port):
                    if not token.value:
                        saver.left_out.append(f"{sq.name}: a token (too long to be recorded)")
                        continue
                    remote = token.sq not in context.syncs
                    given = port, token.start, token.stop, replay.load(token.value), remote
                    context.agenda.deliver_at(max(now, token.tick + delay * remote), sync.receive, *given)
            for firing in replay.running(sq.name):
                context.agenda.deliver_at(now, sync.fire, firing.start, firing.stop, firing.values, now)
    return saver.left_out
