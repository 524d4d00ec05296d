"""`ticktalk replay --then-live`: where the recording ends, the run goes on in real time.

The graph goes on in this process, on the root clock of the recording: its SQs on ensembles as they were, with their
states. Bodies of streams run now; those that want a component get it by `--component`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ticktalk.cli.console import counter_lines
from ticktalk.cli.firing_errors import FiringErrors
from ticktalk.cli.signals import until_interrupted
from ticktalk.cli.simulated_run import SimulatedRun
from ticktalk.cli.streams import say
from ticktalk.cli.what_if import ensembles_of
from ticktalk.durations import duration_text
from ticktalk.errors import TTError
from ticktalk.payloads import OutputToken
from ticktalk.recording.going_on import begin_anew, graph_now, hand_over
from ticktalk.recording.replay import Replay
from ticktalk.runtime_manager import TTRuntimeManagerSim
from ticktalk.simulation.driver import Simulation
from ticktalk.time import INFINITY, Tick
from ticktalk.values.codec import decode_value

LONGEST = 0.1
"""Seconds of one sleep at most."""

BEHIND = 1_000_000
"""Microseconds by which a run may be behind real time before it is told."""


def then_live(
    replay: Replay,
    tick: int,
    until: Tick,
    components: Sequence[str],
    delay: int,
    take: Callable[[OutputToken], None],
    begun: Callable[[TTRuntimeManagerSim], Callable[[], None]],
) -> bool:
    """Go on live, until nothing is left to do, or until Ctrl-C; True: it was ended by that.

    Args:
        replay: up to `tick`.
        tick: a root tick of the recording.
        until: the root tick at which to end.
        components: as `--component` has them.
        delay: root ticks that tokens take between two ensembles.
        take: told each output.
        begun: told the manager when the run has begun; what it gives is called again and again.

    Raises:
        TTError, typer.BadParameter: a component is missing, or its factory is wrong.
    """
    setup, graph = replay.setup, graph_now(replay)
    ensembles = ensembles_of(replay.graph.sqs, replay.host_of)
    _check_drivers(ensembles, components)
    run = SimulatedRun(
        graph=graph,
        start=tick,
        near=Path.cwd(),
        inputs={name: decode_value(data) for name, data in setup.inputs.items()},
        ensembles=ensembles,
        components=components,
        delay=delay,
    )
    run.placed = run.placed._replace(mapping=dict(replay.host_of))
    for sq in begin_anew(replay):
        say(f"{sq}: its sq_state begins anew, for the recording has only its results")
    failures = FiringErrors()
    with run.manager() as manager:
        simulation = manager.simulation
        simulation.accelerator = None  # time is left, and the SQs are given their states
        manager.on_output(lambda token: take(msgspec.structs.replace(token, context=setup.context)), notes=True)
        manager.on_error(failures.add)
        run.begin()
        contexts = [context for host in simulation.hosts() for context in host.contexts.values()]
        for lost in hand_over(replay, contexts, delay):
            say(f"it goes on without {lost}")
        interrupted = True
        with until_interrupted():
            say(f"{graph.name} goes on live, {duration_text(tick - setup.start_tick)} after its start; Ctrl-C ends it")
            _in_real_time(simulation, tick, until, begun(manager))
            interrupted = False
        failures.tell_repeats()
        for line in counter_lines(manager.counters(graph)):
            say(line)
    return interrupted


def _check_drivers(ensembles: Sequence[str], components: Sequence[str]) -> None:
    """See that `--component` gives every component that SQs on the ensembles want.

    Raises:
        TTError: one is not.
    """
    given = {place.partition("=")[0] for place in components}
    for option in ensembles:
        name, _, listed = option.partition("=")
        for component in filter(None, listed.split(",")):
            if f"{name}.{component}" not in given:
                wanted = f"--component {name}.{component}=MODULE:FACTORY"
                raise TTError(f"--then-live: SQs on {name!r} use its {component!r}: give its driver, {wanted}")


def _in_real_time(simulation: Simulation, first: int, until: Tick, look: Callable[[], Any]) -> None:
    begun, told = time.monotonic(), False
    while True:
        now: Tick = first + int((time.monotonic() - begun) * 1e6)
        simulation.run(int(min(now + 1, until)))
        look()
        following = simulation.agenda.next_tick()
        if now >= until or (following is None and not simulation.agenda.ready):
            return
        behind = first + (time.monotonic() - begun) * 1e6 - now
        if behind > BEHIND and not told:
            told = True
            say(f"the run is {duration_text(int(behind))} behind real time: its bodies take longer than it has")
        due = min(until, simulation.env.peek(), INFINITY if following is None else following)
        time.sleep(max(0.0, min(LONGEST, (due - now) / 1e6)))
