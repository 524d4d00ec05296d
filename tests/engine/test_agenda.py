"""The order in which an agenda does what is due at one tick."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ticktalk.engine.agenda import Agenda


def simulated(agenda: Agenda) -> None:
    agenda.run_while(lambda: float("inf"))


def on_a_device(agenda: Agenda) -> None:
    agenda.run_until(10)


@pytest.mark.parametrize("run", [simulated, on_a_device])
def test_a_message_that_another_adds_at_its_own_tick_is_delivered_too(run: Callable[[Agenda], None]) -> None:
    """As a context that begins exactly at its start tick, whose first checkpoint is due then."""
    agenda, done = Agenda(), list[tuple[str, int]]()

    def due(name: str) -> None:
        done.append((name, agenda.now))
        if name == "begin":
            agenda.deliver_at(agenda.now, due, "first")
            agenda.deliver_at(agenda.now, due, "second")
        elif name == "first":
            agenda.deliver_at(agenda.now, due, "third")

    agenda.deliver_at(10, due, "begin")
    agenda.deliver_at(10, due, "other")
    run(agenda)
    assert done == [(name, 10) for name in ("begin", "other", "first", "second", "third")]
    assert agenda.next_tick() is None
