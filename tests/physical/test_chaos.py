"""Half a minute of losses, returns, drains and stand-stills at random; `make soak` runs the same for an hour."""

from __future__ import annotations

from chaos import run


def test_half_a_minute_of_chaos_leaves_a_consistent_system() -> None:
    done = run(30, seed=1)
    assert sum(done.happened.values()) >= 8 and len(done.happened) >= 3, done.happened
